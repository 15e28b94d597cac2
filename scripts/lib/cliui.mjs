// What lays out yargs' help texts, bundled in place of cliui's own entry for ES modules: that one breaks lines
// in the middle of words. (cliui's CommonJS entry does not, and costs every start a fifth of its time.)
// @ts-expect-error It has no types.
import { cliui } from '../../node_modules/cliui/build/lib/index.js';
// @ts-expect-error Neither has this.
import { stripAnsi } from '../../node_modules/cliui/build/lib/string-utils.js';

/** @param {object} options */
export default function ui(options) {
  return cliui(options, { stringWidth: (/** @type {string} */ text) => [...text].length, stripAnsi, wrap });
}

/**
 * Between words; a word that is longer than a line is cut.
 * @param {string} text
 * @param {number} width
 */
function wrap(text, width) {
  const pattern = new RegExp(`(?! )(.{1,${width}}(?=\\s|$)|.{1,${width}})`, 'g');
  return text
    .split('\n')
    .map((line) => (line.length <= width ? line : (line.match(pattern) ?? []).join('\n')))
    .join('\n');
}

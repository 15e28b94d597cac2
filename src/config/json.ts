/** JSON, in which YAML's parser would take seconds where the platform's takes milliseconds. */

/** The value, or undefined for what is no JSON, and for JSON in which a key is given twice: YAML's parser tells of both. */
export function parseJson(text: string): unknown {
  if (!/^\s*\{/.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  // The parser keeps the last of two keys, and says nothing.
  return keysOf(value) === keysIn(text) ? value : undefined;
}

/** How many keys there are in a value, at any depth. */
function keysOf(value: unknown): number {
  let keys = 0;
  const rest = [value];
  while (rest.length > 0) {
    const item = rest.pop();
    if (typeof item !== 'object' || item === null) continue;
    const values = Object.values(item);
    if (!Array.isArray(item)) keys += values.length;
    for (const inner of values) if (typeof inner === 'object') rest.push(inner);
  }
  return keys;
}

const BACKSLASH = 0x5c;
const COLON = 0x3a;
const SPACE = 0x20;

/** How many keys stand in a text that is known to be JSON: strings before a colon. */
function keysIn(text: string): number {
  let keys = 0;
  for (let start = text.indexOf('"'); start >= 0; ) {
    let end = text.indexOf('"', start + 1);
    while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
    let next = end + 1;
    while (text.charCodeAt(next) <= SPACE) next++;
    if (text.charCodeAt(next) === COLON) keys++;
    start = text.indexOf('"', next);
  }
  return keys;
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === BACKSLASH) before--;
  return (at - before) % 2 === 0;
}

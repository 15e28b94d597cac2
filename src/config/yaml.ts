/** YAML as a tree with positions, of texts that were written by anybody. */
import { Composer, type CST, Document, type LineCounter, Parser, YAMLParseError } from 'yaml';

/** Far more than any file here has a use for. */
const MOST_DEPTH = 64;
/** For each key of a map, and for each alias, the library looks through all before it. */
const MOST_KEYS = 4096;
const MOST_ALIASES = 10_000;

/**
 * The library goes into what is nested by calling itself. Where the stack ends, so may the process: V8 gives up for good
 * if it is about to compile a regular expression then.
 */
class BoundedParser extends Parser {
  #aliases = 0;

  override *next(source: string): Generator<CST.Token, void> {
    yield* super.next(source);
    if (source.startsWith('*') && ++this.#aliases > MOST_ALIASES)
      throw this.#tooMuch(`more than ${MOST_ALIASES} aliases`);
    if (this.stack.length > MOST_DEPTH) throw this.#tooMuch('nested too deeply');
    const top = this.stack.at(-1);
    const isMap = top?.type === 'block-map' || top?.type === 'flow-collection';
    if (isMap && top.items.length > MOST_KEYS && top.items.at(-1)?.sep) {
      throw this.#tooMuch(`more than ${MOST_KEYS} keys`);
    }
  }

  #tooMuch(message: string): YAMLParseError {
    return new YAMLParseError([this.offset, this.offset], 'RESOURCE_EXHAUSTION', message);
  }
}

/** The document, and in its `errors` and `warnings` what is wrong with the text. Keys are text alone, and each is there once. */
export function parseYaml(text: string, lineCounter: LineCounter): Document {
  const parser = new BoundedParser(lineCounter.addNewLine);
  const composer = new Composer({ prettyErrors: false, uniqueKeys: true, stringKeys: true, logLevel: 'error' });
  let first: Document | undefined;
  try {
    for (const document of composer.compose(parser.parse(text), true, text.length)) {
      if (first === undefined) {
        first = document;
      } else {
        first.errors.push(new YAMLParseError([document.range[0], document.range[1]], 'MULTIPLE_DOCS', ''));
        break;
      }
    }
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    first = new Document();
    first.errors.push(error);
  }
  return first ?? new Document();
}

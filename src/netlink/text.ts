/** Text among bytes. Names that the kernel has are short and plain: to set up a decoder would cost more than to read them. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const MOST_ASCII = 0x7f;

/** Where the first NUL of the bytes [start, end) is, or -1. */
export function nulIn(view: DataView, start: number, end: number): number {
  for (let at = start; at < end; at++) if (view.getUint8(at) === 0) return at;
  return -1;
}

/** The text of the bytes [start, end). Throws TypeError where it is not UTF-8. */
export function textIn(view: DataView, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) {
    const code = view.getUint8(at);
    if (code > MOST_ASCII) return utf8.decode(new Uint8Array(view.buffer, view.byteOffset + start, end - start));
    text += String.fromCharCode(code);
  }
  return text;
}

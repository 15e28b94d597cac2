const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const MOST_ASCII = 0x7f;

/** The text in bytes[start..end). Throws TypeError where it is not UTF-8. */
export function textIn(bytes: Uint8Array, start: number, end: number): string {
  // The names that the kernel has are short and plain: the decoder would cost more than all that stands around them.
  let text = '';
  for (let i = start; i < end; i++) {
    const code = bytes[i] as number;
    if (code > MOST_ASCII) return utf8.decode(bytes.subarray(start, end));
    text += String.fromCharCode(code);
  }
  return text;
}

/**
 * Text of ours as a terminal may have it: what a guest has put into names and strings must not move the
 * cursor, change colours or ask the terminal to type.
 *
 * What the guest itself writes is its own and passes as it is; so does a trace that goes into a file
 * or a pipe, which is the kernel's text to the byte.
 *
 * @module
 */

const TAB = 0x09, LINE_FEED = 0x0a, ESCAPE_END = 0x20, DELETE = 0x7f;
/** In UTF-8, the first byte of U+0080 to U+009F, the eight-bit control characters. */
const C1_LEAD = 0xc2;

/** Whether a byte of UTF-8 begins a control character; `next` is the byte behind it. */
function isControl(byte: number, next: number | undefined): boolean {
  if (byte < ESCAPE_END) return byte !== TAB && byte !== LINE_FEED;
  return byte === DELETE || byte === C1_LEAD && next !== undefined && next >= 0x80 && next < 0xa0;
}

/** UTF-8 with control characters written out: `\x1b`, `\x9b`. The same bytes where there are none. */
export function printableBytes(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte, at) => isControl(byte, bytes[at + 1]));
  if (first < 0) return bytes;
  const parts: number[] = [...bytes.subarray(0, first)];
  for (let at = first; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (!isControl(byte, bytes[at + 1])) {
      parts.push(byte);
      continue;
    }
    const code = byte === C1_LEAD ? bytes[++at]! : byte;
    const text = `\\x${code.toString(16).padStart(2, "0")}`;
    for (const character of text) parts.push(character.charCodeAt(0));
  }
  return Uint8Array.from(parts);
}

const encoder = new TextEncoder();

/** A text as bytes that a terminal may have. */
export function printable(text: string): Uint8Array {
  return printableBytes(encoder.encode(text));
}

// Lines of git's wire protocol: four hex digits with the length, themselves included, then the text; `0000` ends a list.

export const flushLine: Buffer = Buffer.from('0000');

export function encodeLine(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes]);
}

/** The lines before the first flush, without their ends; undefined when the bytes are no such list. */
export function readLines(bytes: Buffer): string[] | undefined {
  const lines: string[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const digits = bytes.toString('latin1', at, at + 4);
    if (digits === '0000') return lines;
    const length = /^[0-9a-f]{4}$/i.test(digits) ? Number.parseInt(digits, 16) : 0;
    if (length < 4 || at + length > bytes.length) return undefined;
    lines.push(bytes.toString('utf8', at + 4, at + length).trimEnd());
    at += length;
  }
  return undefined;
}

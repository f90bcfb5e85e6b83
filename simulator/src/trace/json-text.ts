// Finds its way through the bytes of a JSON text without reading all of it: where a value ends, what follows it. Values themselves are
// read, and checked, by JSON.parse.

export const byte = {
  quote: 34,
  comma: 44,
  colon: 58,
  openList: 91,
  backslash: 92,
  closeList: 93,
  open: 123,
  close: 125,
};

function isSpace(code: number | undefined): boolean {
  return code === 32 || code === 10 || code === 13 || code === 9;
}

export function skipSpace(bytes: Buffer, at: number): number {
  let next = at;
  while (isSpace(bytes[next])) next++;
  return next;
}

/** The place after the punctuation and the space around it. Throws SyntaxError when something else is there. */
export function skip(bytes: Buffer, at: number, punctuation: number): number {
  const found = skipSpace(bytes, at);
  if (bytes[found] !== punctuation) {
    throw new SyntaxError(`expected ${String.fromCharCode(punctuation)} at byte ${found}`);
  }
  return skipSpace(bytes, found + 1);
}

function endOfString(bytes: Buffer, at: number): number {
  let next = at + 1;
  for (;;) {
    const code = bytes[next];
    if (code === undefined) return next;
    if (code === byte.quote) return next + 1;
    next += code === byte.backslash ? 2 : 1;
  }
}

/** The place after the value that begins at `at`. */
export function endOfValue(bytes: Buffer, at: number): number {
  let depth = 0;
  let next = at;
  while (next < bytes.length) {
    const code = bytes[next];
    if (code === byte.quote) {
      next = endOfString(bytes, next);
      if (depth === 0) return next;
      continue;
    }
    if (code === byte.open || code === byte.openList) depth++;
    else if (code === byte.close || code === byte.closeList) {
      if (depth === 0) return next;
      depth--;
      if (depth === 0) return next + 1;
    } else if (depth === 0 && (code === byte.comma || isSpace(code))) return next;
    next++;
  }
  return next;
}

export function parsed(bytes: Buffer, from: number, to: number): unknown {
  return JSON.parse(bytes.toString('utf8', from, to));
}

// JSON as the validator writes it: integers beyond 2^53 (seeds, up to 2^63-1) become bigint, all other numbers stay numbers.

import { parse } from 'lossless-json';

function readNumber(text: string): number | bigint {
  const value = Number(text);
  return /^-?\d+$/.test(text) && !Number.isSafeInteger(value) ? BigInt(text) : value;
}

/** Throws a SyntaxError on text that is no JSON. */
export function parseJson(text: string): unknown {
  return parse(text, undefined, readNumber);
}

// JSON with 63-bit integers kept exact: integers beyond 2^53 are bigint, all other numbers are numbers (protocol.md trap 4).

import { parse, stringify } from 'lossless-json';

function readNumber(text: string): number | bigint {
  const value = Number(text);
  return /^-?\d+$/.test(text) && !Number.isSafeInteger(value) ? BigInt(text) : value;
}

/** Throws a SyntaxError on text that is no JSON. */
export function parseJson(text: string): unknown {
  return parse(text, undefined, readNumber);
}

/** Compact JSON; a bigint becomes a bare integer. */
export function toJson(value: unknown): string {
  return stringify(value) ?? 'null';
}

// JSON with 63-bit integers kept exact (GraVal seeds): integers beyond 2^53 are bigint inside and bare integers outside.

// Node has both; the type library does not know them yet.
interface ExactJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
}
const exact = JSON as unknown as ExactJson;

/** Throws a SyntaxError on text that is no JSON. */
export function parseJson(text: string): unknown {
  return exact.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? '')
      ? BigInt(source ?? 0)
      : value,
  );
}

export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? exact.rawJSON(String(part)) : part), indent);
}

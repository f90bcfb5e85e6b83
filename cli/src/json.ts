// JSON with 63-bit integers kept exact (GraVal seeds): integers beyond 2^53 are bigint inside and bare integers outside.

// Node has both; the type library does not know them yet.
interface ExactJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
}
const exact = JSON as unknown as ExactJson;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const controls = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;

/** Names are chosen by strangers: what would steer a terminal is replaced; line ends and tabs stay. */
export function withoutControls(text: string): string {
  return text.replace(controls, '\ufffd');
}

/** Throws a SyntaxError on text that is no JSON. */
export function parseJson(text: string): unknown {
  return exact.parse(text, (_key, value, { source }) => {
    if (typeof value === 'string') return withoutControls(value);
    if (typeof value !== 'number' || Number.isSafeInteger(value) || !/^-?\d+$/.test(source ?? '')) return value;
    return BigInt(source ?? 0);
  });
}

export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? exact.rawJSON(String(part)) : part), indent);
}

// Plain JSON data as YAML, for manifests: keys in the order given, source files as literal blocks, the same value for YAML 1.1 and 1.2 readers.
// Written for speed (a deployment in under 1 ms); it has no aliases, tags or comments.

export type Json = string | number | boolean | null | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

// No digit, sign or dot in front: then only the words below could be read as anything but a string.
const plain = /^[A-Za-z/][A-Za-z0-9_./@:-]*$/;
const words = /^(y|n|yes|no|on|off|true|false|null)$/i;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
// What a literal block would lose: control characters but newline and tab, surrogates that stand alone, other line breaks.
const unprintable = /[^\P{C}\n\t]|[\u2028\u2029]/u;
const escaped = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

function quoted(text: string): string {
  return JSON.stringify(text).replace(escaped, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function inline(text: string): string {
  const isPlain = uuid.test(text) || (plain.test(text) && !text.endsWith(':') && !words.test(text));
  return isPlain ? text : quoted(text);
}

/** The first line must show the indentation of a block, so it may not begin with a blank. */
function fitsBlock(text: string): boolean {
  return text.includes('\n') && /^\S/.test(text) && !unprintable.test(text);
}

function block(text: string, indent: string): string {
  const body = text.replace(/\n+$/, '');
  const ends = text.length - body.length;
  const lines = body.split('\n').map((line) => (line === '' ? '' : indent + line));
  const header = ends === 0 ? '|-' : ends === 1 ? '|' : '|+';
  // The line that follows brings one line end itself.
  return `${header}\n${lines.join('\n')}${'\n'.repeat(Math.max(0, ends - 1))}`;
}

/** Names of fields seen before: the same few are in every manifest. */
const knownKeys = new Map<string, string>();
const knownKeysKept = 1000;

function keyText(key: string): string {
  const known = knownKeys.get(key);
  if (known !== undefined) return known;
  const text = inline(key);
  if (knownKeys.size < knownKeysKept) knownKeys.set(key, text);
  return text;
}

function fields(data: JsonObject, indent: string): string[] {
  const lead = `\n${indent}  `;
  return Object.entries(data).map(([key, item]) => `${keyText(key)}:${value(item, indent, lead)}`);
}

function collection(data: Json[] | JsonObject, indent: string): string {
  const lines = Array.isArray(data) ? data.map((item) => `-${value(item, indent, ' ')}`) : fields(data, indent);
  if (lines.length === 0) return Array.isArray(data) ? '[]' : '{}';
  return lines.join(`\n${indent}`);
}

/** What follows `key:` or `-` at `indent`; `lead` comes before a collection that is not empty. */
function value(data: Json, indent: string, lead: string): string {
  const inner = `${indent}  `;
  if (typeof data === 'string') return ` ${fitsBlock(data) ? block(data, inner) : inline(data)}`;
  if (data === null || typeof data !== 'object') return ` ${data}`;
  const text = collection(data, inner);
  return text === '[]' || text === '{}' ? ` ${text}` : lead + text;
}

/** Objects as a stream of YAML documents; numbers must be finite. */
export function toYaml(documents: readonly (JsonObject | Json[])[]): string {
  return documents.map((document) => `${collection(document, '')}\n`).join('---\n');
}

/** Texts of `toYaml` as one stream, as if all their documents had been given together. */
export function joinYaml(texts: readonly string[]): string {
  return texts.join('---\n');
}

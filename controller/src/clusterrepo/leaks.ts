// What must never be in git: launch tokens (JWT) and hotkey seeds (64 hex digits). Names what was found, never shows it.

const jwt = /eyJ[A-Za-z0-9_-]{4,}\.eyJ[A-Za-z0-9_-]{4,}\./;
/** Every string below `data`, names of fields included. */
function textsOf(data: unknown, texts: string[] = []): string[] {
  if (typeof data === 'string') texts.push(data);
  if (typeof data !== 'object' || data === null) return texts;
  if (!Array.isArray(data)) texts.push(...Object.keys(data));
  for (const inner of Object.values(data)) textsOf(inner, texts);
  return texts;
}

function isConfigMap(document: unknown): document is { kind: 'ConfigMap'; data?: unknown } {
  return typeof document === 'object' && document !== null && 'kind' in document && document.kind === 'ConfigMap';
}

/** The source of a chute may hold checksums of 64 digits; it is not ours, and no seed can get into it. */
function withoutSources(document: unknown): unknown {
  return isConfigMap(document) ? { ...document, data: undefined } : document;
}

function holdsJwt(text: string): boolean {
  return text.includes('eyJ') && jwt.test(text);
}

function isHex(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 97 && code <= 102) || (code >= 65 && code <= 70);
}

/** Exactly 64 hex digits in a row that are no digest. Such a run covers one place of every 64, so only those are looked at. */
function holdsSeed(text: string): boolean {
  for (let at = 63; at < text.length; at += 64) {
    if (!isHex(text.charCodeAt(at))) continue;
    let start = at;
    while (start > 0 && isHex(text.charCodeAt(start - 1))) start--;
    let end = at + 1;
    while (end < text.length && isHex(text.charCodeAt(end))) end++;
    if (end - start === 64 && !text.endsWith('sha256:', start)) return true;
  }
  return false;
}

/**
 * One line for each kind of secret that a file's text (comments too) or its values hold; empty when there is none. `literal`: every
 * value stands in the text as it is. Without `documents` (the file cannot be read) the text alone is searched.
 */
export function findLeaks(text: string, documents: readonly unknown[], literal: boolean): string[] {
  const found: string[] = [];
  const sources = documents.some(isConfigMap);
  const values = literal && !sources ? [] : textsOf(documents.map(withoutSources));
  const all = sources ? textsOf(documents) : values;
  if (holdsJwt(text) || all.some(holdsJwt)) found.push('holds a token (JWT)');
  if ((!sources && holdsSeed(text)) || values.some(holdsSeed)) found.push('holds 64 hex digits, as a seed has');
  return found;
}

const phrase = /^\s*(?:[a-z]+\s+){11,23}[a-z]+\s*$/;

/** Whether a text had better not be shown: it looks like a token, a seed or a seed phrase. */
export function holdsSecret(text: string): boolean {
  return jwt.test(text) || holdsSeed(text) || phrase.test(text);
}

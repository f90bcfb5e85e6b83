// Patches as the API server takes them. A strategic merge patch is applied as a merge patch: the maps that clients patch here
// (labels, annotations, data) mean the same under both.

import { z } from 'zod';
import { ApiError } from './kube.ts';

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 7386: null removes, maps merge, anything else replaces. A Map holds the result, so that the key `__proto__` is a key. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const result = new Map(Object.entries(isMap(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, mergePatch(result.get(key), value));
  }
  return Object.fromEntries(result);
}

const operations = z.array(
  z.object({ op: z.enum(['add', 'replace', 'remove', 'test']), path: z.string(), value: z.unknown().optional() }),
);

function applyOperation(target: unknown, keys: readonly string[], op: string, value: unknown): unknown {
  const [key, ...rest] = keys;
  if (key === undefined) {
    if (op === 'test' && JSON.stringify(target) !== JSON.stringify(value)) {
      throw new ApiError('Invalid', 'the test operation of the patch failed');
    }
    return op === 'test' ? target : value;
  }
  if (!isMap(target) && !Array.isArray(target)) throw new ApiError('Invalid', `patch path leads nowhere at "${key}"`);
  if (Array.isArray(target)) {
    const copy: unknown[] = [...target];
    const index = key === '-' ? copy.length : Number(key);
    if (rest.length > 0 || op === 'test') copy[index] = applyOperation(copy[index], rest, op, value);
    else copy.splice(index, op === 'add' ? 0 : 1, ...(op === 'remove' ? [] : [value]));
    return copy;
  }
  if (op !== 'add' && !Object.hasOwn(target, key))
    throw new ApiError('Invalid', `patch path leads nowhere at "${key}"`);
  if (rest.length === 0 && op === 'remove') {
    const { [key]: _, ...others } = target;
    return others;
  }
  return { ...target, [key]: applyOperation(target[key], rest, op, value) };
}

/** RFC 6902 without move and copy. */
export function jsonPatch(target: unknown, patch: unknown): unknown {
  const parsed = operations.safeParse(patch);
  if (!parsed.success)
    throw new ApiError('BadRequest', 'a JSON patch is a list of add, replace, remove and test operations');
  return parsed.data.reduce((result, { op, path, value }) => {
    const keys = path.split('/').slice(1);
    const unescaped = keys.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    return applyOperation(result, unescaped, op, value);
  }, target);
}

/** Does `live` hold everything that `wanted` says? Maps may have more keys, lists must agree in length. */
export function contains(live: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return Array.isArray(live) && live.length === wanted.length && wanted.every((item, i) => contains(live[i], item));
  }
  if (isMap(wanted)) {
    const own = (key: string) => (isMap(live) && Object.hasOwn(live, key) ? live[key] : undefined);
    return isMap(live) && Object.entries(wanted).every(([key, value]) => contains(own(key), value));
  }
  return live === wanted || (wanted === null && live === undefined);
}

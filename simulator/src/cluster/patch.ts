// Patches as the API server takes them. A strategic merge patch is applied as a merge patch: the maps that clients patch here
// (labels, annotations, data) mean the same under both.

import { z } from 'zod';
import { ApiError } from './kube.ts';

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 7386: null removes, maps merge, anything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const result: Record<string, unknown> = isMap(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
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
  if (op !== 'add' && !(key in target)) throw new ApiError('Invalid', `patch path leads nowhere at "${key}"`);
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
  if (isMap(wanted)) return isMap(live) && Object.entries(wanted).every(([key, value]) => contains(live[key], value));
  return live === wanted || (wanted === null && live === undefined);
}

// Label and field selectors of list and watch. Equality and existence only; set-based selectors are refused, not guessed.

import { ApiError, type KubeObject } from './kube.ts';

export type Matcher = (object: KubeObject) => boolean;

function valueAt(object: KubeObject, path: string): string {
  let value: unknown = object;
  for (const part of path.split('.')) {
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[part] : undefined;
  }
  return typeof value === 'string' ? value : String(value ?? '');
}

function requirement(term: string, read: (object: KubeObject, key: string) => string | undefined): Matcher {
  if (/[()]|\s(in|notin)\s/.test(term))
    throw new ApiError('BadRequest', `selector "${term}": only equality is supported`);
  const match = /^([^=!]+?)\s*(==|=|!=)\s*(.*)$/.exec(term);
  if (!match) {
    const absent = term.startsWith('!');
    const key = absent ? term.slice(1) : term;
    return (object) => (read(object, key) === undefined) === absent;
  }
  const [, key = '', operator, value] = match;
  return (object) => (read(object, key) === value) === (operator !== '!=');
}

function conjunction(selector: string | null, read: Parameters<typeof requirement>[1]): Matcher[] {
  return (selector ?? '')
    .split(',')
    .map((term) => term.trim())
    .filter((term) => term !== '')
    .map((term) => requirement(term, read));
}

/** Throws ApiError BadRequest for a selector it cannot read. */
export function parseSelectors(labelSelector: string | null, fieldSelector: string | null): Matcher {
  const matchers = [
    ...conjunction(labelSelector, (object, key) => object.metadata.labels?.[key]),
    ...conjunction(fieldSelector, valueAt),
  ];
  return (object) => matchers.every((matches) => matches(object));
}

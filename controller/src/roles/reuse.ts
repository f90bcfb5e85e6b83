// Rows come from the database as new objects every time. What says the same as before is handed on as the object it was before, so that
// whoever tells changes by identity, as a plan does, looks at what changed only.

function isPlain(value: object): boolean {
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (!isPlain(a) || !isPlain(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  for (const key of keys) {
    if (!Object.hasOwn(b, key) || !isSame(a[key as keyof typeof a], b[key as keyof typeof b])) return false;
  }
  return true;
}

/** Remembers the rows of the last call by their key. */
export function createReuse<T extends object>(keyOf: (row: T) => string): (rows: readonly T[]) => T[] {
  let known = new Map<string, T>();
  return (rows) => {
    const next = new Map<string, T>();
    const reused = rows.map((row) => {
      const key = keyOf(row);
      const before = known.get(key);
      const kept = before !== undefined && isSame(before, row) ? before : row;
      next.set(key, kept);
      return kept;
    });
    known = next;
    return reused;
  };
}

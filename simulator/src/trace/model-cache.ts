// The model cache of one server: what is in it, when it was last used, and what leaves when it is full (trace format, section 4.3).
// Models that no chute of the trace names count as 0 GB, because a trace does not say how large they are.

export interface ModelCache {
  has(key: string): boolean;
  /** Adds or refreshes. */
  use(key: string, at: number): void;
  /** Evicts the least recently used models that are not in use until the rest fits, or none is left to evict. */
  trim(inUse: ReadonlySet<string>): void;
  keys(): string[];
}

export function createModelCache(
  capacityGb: number,
  sizeGb: (key: string) => number,
  initial: readonly string[],
): ModelCache {
  const lastUse = new Map(initial.map((key) => [key, 0]));

  function oldest(inUse: ReadonlySet<string>): string | undefined {
    let found: string | undefined;
    for (const [key, at] of lastUse) {
      if (inUse.has(key)) continue;
      const than = found === undefined ? undefined : lastUse.get(found);
      if (found === undefined || than === undefined || at < than || (at === than && key < found)) found = key;
    }
    return found;
  }

  return {
    has: (key) => lastUse.has(key),
    use(key, at) {
      lastUse.set(key, at);
    },
    trim(inUse) {
      let total = 0;
      for (const key of lastUse.keys()) total += sizeGb(key);
      while (total > capacityGb) {
        const key = oldest(inUse);
        if (key === undefined) return;
        lastUse.delete(key);
        total -= sizeGb(key);
      }
    },
    keys: () => [...lastUse.keys()],
  };
}

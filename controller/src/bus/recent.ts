// The newest ids that were seen, as many as are worth remembering.

export interface Recent {
  has(id: string): boolean;
  add(id: string): void;
}

/** Forgets the oldest when there are more than `limit`. */
export function createRecent(limit: number): Recent {
  const ids = new Set<string>();
  return {
    has: (id) => ids.has(id),
    add(id) {
      ids.add(id);
      if (ids.size <= limit) return;
      for (const oldest of ids) {
        ids.delete(oldest);
        return;
      }
    },
  };
}

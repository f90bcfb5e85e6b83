// A binary heap: the first by the given order comes out first; equal items come out in any order, so the order should be total.

export interface Heap<T> {
  readonly size: number;
  push(item: T): void;
  pop(): T | undefined;
  peek(): T | undefined;
  /** The first few in order, which stay. */
  first(count: number): T[];
}

/** `before` is negative when `a` comes out before `b`. */
export function createHeap<T>(before: (a: T, b: T) => number, initial: readonly T[] = []): Heap<T> {
  const items: T[] = [];

  function swap(i: number, j: number): void {
    const held = items[i] as T;
    items[i] = items[j] as T;
    items[j] = held;
  }
  function rises(i: number, j: number): boolean {
    return before(items[i] as T, items[j] as T) < 0;
  }
  function push(item: T): void {
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!rises(at, parent)) return;
      swap(at, parent);
      at = parent;
    }
  }
  function pop(): T | undefined {
    if (items.length <= 1) return items.pop();
    swap(0, items.length - 1);
    const first = items.pop();
    for (let at = 0; ; ) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = at;
      if (left < items.length && rises(left, least)) least = left;
      if (right < items.length && rises(right, least)) least = right;
      if (least === at) return first;
      swap(at, least);
      at = least;
    }
  }
  for (const item of initial) push(item);
  return {
    get size() {
      return items.length;
    },
    push,
    pop,
    peek: () => items[0],
    // Whoever comes out at place `count` has no more than that many above him.
    first: (count) =>
      items
        .slice(0, 2 ** count - 1)
        .sort(before)
        .slice(0, count),
  };
}

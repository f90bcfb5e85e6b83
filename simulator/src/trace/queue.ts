// What the market has planned for itself, in the order in which it happens: by time, then by class, then by creation.

/** Order among events of the same time (trace format, section 3.1). */
export const eventClasses = {
  drained: 0,
  instance: 1,
  model: 1,
  failure: 2,
  activation: 3,
  job_end: 4,
  rolling_removal: 4,
  outage_end: 5,
  healthy: 5,
} as const;
export type EventKind = keyof typeof eventClasses;

interface Entry<T> {
  at: number;
  order: number;
  created: number;
  event: T;
}

function before<T>(a: Entry<T>, b: Entry<T>): boolean {
  if (a.at !== b.at) return a.at < b.at;
  if (a.order !== b.order) return a.order < b.order;
  return a.created < b.created;
}

export interface EventQueue<T extends { kind: EventKind }> {
  /** `at` in seconds of the trace. */
  push(at: number, event: T): void;
  /** Time of the next event; Infinity when there is none. */
  nextAt(): number;
  /** The next event; undefined when there is none. */
  pop(): T | undefined;
}

/** A binary heap. */
export function createQueue<T extends { kind: EventKind }>(): EventQueue<T> {
  const heap: Entry<T>[] = [];
  let created = 0;

  function sink(entry: Entry<T>): void {
    let i = 0;
    for (;;) {
      const left = heap[2 * i + 1];
      const right = heap[2 * i + 2];
      if (!left) break;
      const smaller = right && before(right, left) ? right : left;
      if (!before(smaller, entry)) break;
      heap[i] = smaller;
      i = smaller === left ? 2 * i + 1 : 2 * i + 2;
    }
    heap[i] = entry;
  }

  return {
    push(at, event) {
      const entry = { at, order: eventClasses[event.kind], created: created++, event };
      let i = heap.length;
      heap.push(entry);
      while (i > 0) {
        const up = (i - 1) >> 1;
        const parent = heap[up];
        if (!parent || !before(entry, parent)) break;
        heap[i] = parent;
        i = up;
      }
      heap[i] = entry;
    },
    nextAt: () => heap[0]?.at ?? Number.POSITIVE_INFINITY,
    pop() {
      const top = heap[0];
      const last = heap.pop();
      if (last && heap.length > 0) sink(last);
      return top?.event;
    },
  };
}

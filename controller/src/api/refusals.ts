// The log of refused requests: at most one line a minute for each source, and one for all others together when there are very many.
// A flood costs neither disk nor memory; the metrics count every one.

import type { Clock } from '../domain/clock.ts';

const quietMs = 60_000;
const others = 'others';

export interface RefusalLogOptions {
  clock: Pick<Clock, 'now'>;
  /** `since`: refusals of the same source that were not written since its last line. */
  write(fields: { source: string; since: number } & Record<string, unknown>): void;
  /** Sources that are told apart within one minute; default 1,000. */
  maxSources?: number;
}

export function createRefusalLog({ clock, write, maxSources = 1000 }: RefusalLogOptions) {
  // In the order of their lines: the oldest first.
  const lines = new Map<string, { at: number; unwritten: number }>();

  function makeRoom(now: number): void {
    for (const [source, { at }] of lines) {
      if (lines.size < maxSources || now - at < quietMs) return;
      lines.delete(source);
    }
  }

  return {
    note(from: string, fields: Record<string, unknown>): void {
      const now = clock.now();
      if (!lines.has(from)) makeRoom(now);
      const source = lines.has(from) || lines.size < maxSources ? from : others;
      const last = lines.get(source);
      if (last && now - last.at < quietMs) {
        last.unwritten += 1;
        return;
      }
      lines.delete(source);
      lines.set(source, { at: now, unwritten: 0 });
      write({ source, since: last?.unwritten ?? 0, ...fields });
    },
    /** Sources remembered now. */
    size: () => lines.size,
  };
}

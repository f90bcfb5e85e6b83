// Full hours of UTC, each known by its first millisecond, and which of them are due.

import { MinerError } from '../domain/errors.ts';

export const hourMs = 3_600_000;

/** The newest hour that is over at `now` (ms). */
export function lastFullHour(now: number): number {
  return Math.floor(now / hourMs) * hourMs - hourMs;
}

/** `2026-11-22T15`: sorts as the hours do, and is a good file name. */
export function hourName(hour: number): string {
  return new Date(hour).toISOString().slice(0, 13);
}

/** The hour that an ISO time of UTC starts, `T15` or `T15:00:00Z`. Throws E-USAGE for another text and for an hour that is not over. */
export function parseHour(text: string, now: number): number {
  const [, name] = /^(\d{4}-\d\d-\d\dT\d\d)(?::00(?::00(?:\.0+)?)?)?(?:Z|\+00:00)?$/.exec(text) ?? [];
  const hour = name ? Date.parse(`${name}:00:00Z`) : Number.NaN;
  if (Number.isNaN(hour) || hourName(hour) !== name) {
    throw new MinerError(
      'E-USAGE',
      `--hour: found "${text}", allowed: the start of an hour of UTC such as 2026-11-22T15`,
    );
  }
  if (hour > lastFullHour(now)) throw new MinerError('E-USAGE', `--hour: ${name} is not over yet`);
  return hour;
}

export interface DueHours {
  /** The newest full hour. */
  last: number;
  /** Hours that were begun, in any order. */
  begun: readonly number[];
  /** Those of them that are through. */
  done: ReadonlySet<number>;
  /** How many hours up to the last one are looked at. */
  backfill: number;
}

/** Oldest first: the last hour, and those before it that were missed. Nothing is missed from before the first one that was begun. */
export function dueHours({ last, begun, done, backfill }: DueHours): number[] {
  const first = begun.reduce((least, hour) => Math.min(least, hour), last);
  const due: number[] = [];
  for (let hour = Math.max(first, last - (backfill - 1) * hourMs); hour <= last; hour += hourMs) {
    if (!done.has(hour)) due.push(hour);
  }
  return due;
}

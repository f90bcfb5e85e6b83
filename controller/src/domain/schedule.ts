// Windows of the week in a time zone. A window that ends before it begins goes past midnight and belongs to the day on which it begins.

import { z } from 'zod';

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const time = z.string().regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, 'must be a time from "00:00" to "24:00"');

export const scheduleWindow = z.strictObject({
  days: z
    .array(z.enum(weekdays))
    .min(1)
    .default([...weekdays])
    .describe('Days on which it begins.'),
  from: time.describe('First minute, as HH:MM.'),
  to: time.describe('Minute after the last; earlier than `from`: on the next day.'),
});
export type ScheduleWindow = z.infer<typeof scheduleWindow>;

export interface WeekMinute {
  isWithin(window: ScheduleWindow): boolean;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    formats.set(timeZone, format);
  }
  return format;
}

/** Whether it is an IANA name that this runtime knows. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-GB', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function minutes(text: string): number {
  return 60 * Number(text.slice(0, 2)) + Number(text.slice(3));
}

/** The minute of the week that clocks in `timeZone` show at `now` (ms since the Unix epoch). */
export function minuteOf(now: number, timeZone: string): WeekMinute {
  const parts = new Map(
    formatOf(timeZone)
      .formatToParts(now)
      .map(({ type, value }) => [type, value]),
  );
  const names: readonly string[] = weekdays;
  const day = names.indexOf(parts.get('weekday')?.toLowerCase() ?? '');
  const minute = 60 * Number(parts.get('hour')) + Number(parts.get('minute'));
  const isOn = (days: readonly string[], index: number) => days.includes(names[(index + 7) % 7] ?? '');
  return {
    isWithin({ days, from, to }) {
      const [start, end] = [minutes(from), minutes(to)];
      if (start < end) return isOn(days, day) && start <= minute && minute < end;
      return (isOn(days, day) && minute >= start) || (isOn(days, day - 1) && minute < end);
    },
  };
}

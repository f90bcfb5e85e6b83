// One JSON line for each figure, with the load under which it was taken: cores that other programs than the measured ones kept busy.

import { machine } from '../machine.ts';
import type { Meter } from './usage.ts';

const rounded = (value: number): number => Number(value.toPrecision(3));

export type Report = (name: string, value: number, unit: string, n: number) => void;

/** `about` goes into each line. */
export function reportOf(prefix: string, about: Readonly<Record<string, unknown>>, meter: Meter): Report {
  return (name, value, unit, n) => {
    const { all, others } = meter.busy();
    const load = { busyCores: rounded(all), byOthers: rounded(others) };
    const figure = { name: `${prefix}/${name}`, value: rounded(value), unit, n };
    process.stdout.write(`${JSON.stringify({ ...figure, ...about, load, machine: machine() })}\n`);
  };
}

/** Processor time of each process of the meter that took a second or more. */
export function cpuOfEach(report: Report, meter: Meter, n: number): void {
  for (const [name, seconds] of meter.cpu()) if (seconds >= 1) report(`cpu/${name}`, seconds, 's', n);
}

export function quantiles(report: Report, name: string, values: readonly number[], unit = 'ms'): void {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
  for (const [label, q] of [
    ['p50', 0.5],
    ['p90', 0.9],
    ['p99', 0.99],
  ] as const)
    report(`${name}/${label}`, at(q), unit, values.length);
}

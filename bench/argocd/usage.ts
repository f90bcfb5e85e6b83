// What processes have used: CPU time with that of their ended children, and memory, as /proc says it. Linux only.

import { readFileSync } from 'node:fs';

export interface Usage {
  /** Seconds. */
  cpu: number;
  /** MiB: now, and at most since its start. */
  rss: number;
  peak: number;
}

/** Of /proc: USER_HZ, which is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

function fieldsOf(text: string): number[] {
  // The name in parentheses may hold anything.
  return text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
}

/** Zero for a process that is gone. */
export function usageOf(pid: number | undefined): Usage {
  try {
    const [user = 0, system = 0, childUser = 0, childSystem = 0] = fieldsOf(
      readFileSync(`/proc/${pid}/stat`, 'utf8'),
    ).slice(11);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024;
    return {
      cpu: (user + system + childUser + childSystem) / ticksPerSecond,
      rss: mib('VmRSS'),
      peak: mib('VmHWM'),
    };
  } catch {
    return { cpu: 0, rss: 0, peak: 0 };
  }
}

/** Seconds that all cores together have worked since the machine started. */
function machineCpu(): number {
  const [first = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0] = first.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softIrq) / ticksPerSecond;
}

export interface Meter {
  /** Cores that were busy since the start of the meter, and those that the given processes did not use. */
  busy(): { all: number; others: number };
  /** Of one of the processes since the start of the meter, by its name. */
  cpuOf(name: string): number;
  /** Of all of them, most first. */
  cpu(): [name: string, seconds: number][];
}

export type Pids = ReadonlyMap<string, number | undefined>;

export function startMeter(pids: () => Pids): Meter {
  const startedAt = performance.now();
  const machine = machineCpu();
  const cpu = () => new Map([...pids()].map(([name, pid]) => [name, usageOf(pid).cpu]));
  const before = cpu();
  const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
  return {
    busy() {
      const seconds = (performance.now() - startedAt) / 1000;
      const all = machineCpu() - machine;
      const ours = sum(cpu().values()) - sum(before.values());
      return { all: all / seconds, others: Math.max(0, all - ours) / seconds };
    },
    cpu: () =>
      [...cpu()]
        .map(([name, now]) => [name, now - (before.get(name) ?? 0)] as [string, number])
        .sort(([, a], [, b]) => b - a),
    cpuOf: (name) => usageOf(pids().get(name)).cpu - (before.get(name) ?? 0),
  };
}

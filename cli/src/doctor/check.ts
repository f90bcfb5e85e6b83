// One thing looked at: what was found, and what to do when it is not right.

export interface Check {
  name: string;
  result: 'ok' | 'warn' | 'fail';
  detail: string;
  fix?: string;
}

export function ok(name: string, detail: string): Check {
  return { name, result: 'ok', detail };
}

export function warn(name: string, detail: string, fix: string): Check {
  return { name, result: 'warn', detail, fix };
}

export function fail(name: string, detail: string, fix: string): Check {
  return { name, result: 'fail', detail, fix };
}

/** Servers refuse signatures from 30 s on; clocks that drift get there. */
export function clockCheck(name: string, skewMs: number | undefined, refusedFromMs = 30_000): Check {
  if (skewMs === undefined) return warn(name, 'the answer has no Date header', 'compare the clocks by hand');
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const detail = seconds < 2 ? 'agrees with ours' : `${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} ours`;
  const fix = 'timedatectl set-ntp true, here or there';
  if (Math.abs(skewMs) >= refusedFromMs) return fail(name, detail, fix);
  return seconds >= 5 ? warn(name, detail, fix) : ok(name, detail);
}

// Cold start step by step: medians over deployments of the time each step of design 7 took.

export const steps = [
  ['token', 'plannedAt', 'tokenAt'],
  ['secret', 'tokenAt', 'secretAt'],
  ['commit', 'secretAt', 'committedAt'],
  ['run', 'committedAt', 'runningAt'],
  ['claim', 'runningAt', 'claimedAt'],
  ['verify', 'claimedAt', 'verifiedAt'],
  ['activate', 'verifiedAt', 'activatedAt'],
  ['total', 'plannedAt', 'activatedAt'],
] as const;

export type Step = (typeof steps)[number][0];
type Times = Partial<Record<(typeof steps)[number][1 | 2], number | undefined>>;

/** The value below which half of the values lie; undefined of none. */
export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  const lower = sorted[middle - 1];
  if (upper === undefined) return undefined;
  return sorted.length % 2 === 1 || lower === undefined ? upper : (lower + upper) / 2;
}

/** Seconds of the clock the times are on, rounded to ms; a step nobody took is left out. A step that events report late counts as 0. */
export function coldStartMedians(deployments: readonly Times[]): Partial<Record<Step, number>> {
  const medians: Partial<Record<Step, number>> = {};
  for (const [name, from, to] of steps) {
    const seconds = deployments.flatMap((times) => {
      const start = times[from];
      const end = times[to];
      return start === undefined || end === undefined ? [] : [Math.max(0, end - start) / 1000];
    });
    const value = median(seconds);
    if (value !== undefined) medians[name] = Math.round(value * 1000) / 1000;
  }
  return medians;
}

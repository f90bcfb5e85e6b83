// What an instance earns (gepetto.md 4.7): its multiplier is frozen for 2 h, eases to the chute's until 8 h, then follows it. Pure.
// Times are ms, results multiplier-seconds.

const frozenSeconds = 7200;
const easingSeconds = 21_600;
const startupShare = 0.3;
const youngSeconds = 3600;
const lastInstanceShare = 0.1;
const boostSeconds = 10_800;

/** Factor of a bounty that has been open for so many seconds: 1.5 growing to 2.5 over 3 h. */
export function bountyBoost(ageSeconds: number): number {
  return 1.5 + Math.min(1, Math.max(0, ageSeconds) / boostSeconds);
}

/** The amount shown for it. */
export function bountyAmount(ageSeconds: number): number {
  return Math.floor(Math.min(3 * Math.max(0, ageSeconds) + 100, 86_400));
}

/** Seconds within the first `age` seconds of activity during which the multiplier follows the chute, eased ones by their share. */
function following(age: number): number {
  if (age <= frozenSeconds) return 0;
  if (age <= frozenSeconds + easingSeconds) return (age - frozenSeconds) ** 2 / (2 * easingSeconds);
  return easingSeconds / 2 + (age - frozenSeconds - easingSeconds);
}

export interface Earner {
  createdAt: number;
  activatedAt: number | null;
  jobId: string | null;
  cm0: number;
  boost: number;
  frozenSeconds: number;
  followed: number;
  accruedAt: number;
}

/** Book the time since `accruedAt` at the chute's run multiplier, which was constant over it. Not yet active: nothing. */
export function accrue(instance: Earner, run: number, now: number): void {
  if (instance.activatedAt === null || now <= instance.accruedAt) return;
  const from = (instance.accruedAt - instance.activatedAt) / 1000;
  const to = (now - instance.activatedAt) / 1000;
  const followed = instance.jobId === null ? following(to) - following(from) : 0;
  instance.frozenSeconds += to - from - followed;
  instance.followed += followed * run;
  instance.accruedAt = now;
}

/** Pay so far, start-up time included at its share. `plain` leaves the bounty's factor out. */
export function accrued(instance: Earner, plain = false): number {
  if (instance.activatedAt === null) return 0;
  const cm0 = plain ? instance.cm0 / instance.boost : instance.cm0;
  const startup = (instance.activatedAt - instance.createdAt) / 1000;
  return (startupShare * startup + instance.frozenSeconds) * cm0 + instance.followed;
}

/** Multiplier right now. */
export function currentMultiplier(instance: Earner, run: number, now: number): number {
  if (instance.activatedAt === null || instance.jobId !== null) return instance.cm0;
  const age = (now - instance.activatedAt) / 1000;
  const share = Math.min(1, Math.max(0, (age - frozenSeconds) / easingSeconds));
  return instance.cm0 * (1 - share) + run * share;
}

export interface Ending {
  /** `valid`: the validator ended it. `miner`: the miner removed it. `lost`: its server or pod went away. */
  by: 'valid' | 'miner' | 'lost';
  isPublic: boolean;
  /** It was the last active instance of its chute. */
  last: boolean;
}

export function isYoung(instance: Earner, now: number): boolean {
  return instance.activatedAt === null || now - instance.activatedAt < youngSeconds * 1000;
}

/** What is paid of the accrued pay when it ends now. */
export function settle(instance: Earner, ending: Ending, now: number): number {
  if (ending.by === 'valid') return accrued(instance);
  if (ending.by === 'miner' && (instance.jobId !== null || !ending.isPublic)) return 0;
  if (isYoung(instance, now)) return 0;
  if (ending.by === 'miner' && ending.last) return lastInstanceShare * accrued(instance, true);
  return accrued(instance);
}

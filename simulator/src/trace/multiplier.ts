// What a chute and its instances are worth per second: multipliers, bounties and exact accrual (trace format, sections 4.1 and 4.3).
// Pure; time in seconds, multipliers without unit.

export interface Factors {
  base: number;
  private: number;
  tee: number;
  urgency: number;
  manual: number;
}

export const frozenSeconds = 7200;
export const easingSeconds = 21600;
/** Share of the multiplier that the time from instance to activation earns. */
export const startupShare = 0.3;

/** Multiplier of a chute without a bounty. */
export function runMultiplier({ base, private: exclusive, tee, urgency, manual }: Factors): number {
  return base * exclusive * tee * urgency * manual;
}

/** Factor of a bounty, 1.5 when it opens, 2.5 after three hours. */
export function bountyBoost(age: number): number {
  return 1.5 + Math.min(1, age / 10800);
}

/** Displayed only, no part of any score. */
export function bountyAmount(age: number): number {
  return Math.min(3 * age + 100, 86400);
}

/** Weight of the chute's current multiplier at an age since activation: 0 for 2 h, 1 from 8 h on. */
export function easing(age: number): number {
  return Math.min(1, Math.max(0, (age - frozenSeconds) / easingSeconds));
}

/** Integral of `easing` from activation to an age. */
export function easedSeconds(age: number): number {
  const eased = Math.min(easingSeconds, Math.max(0, age - frozenSeconds));
  return eased ** 2 / (2 * easingSeconds) + Math.max(0, age - frozenSeconds - easingSeconds);
}

/** Pay as two sums: `cm0` counts `own` seconds, the chute's multiplier gives `followed` multiplier-seconds. */
export interface Accrual {
  own: number;
  followed: number;
}

/** Adds the time between two ages during which the chute's multiplier was `run`. `fixed` (jobs): cm0 all the time. */
export function accrue(sum: Accrual, fromAge: number, toAge: number, run: number, fixed: boolean): void {
  const eased = fixed ? 0 : easedSeconds(toAge) - easedSeconds(fromAge);
  sum.own += toAge - fromAge - eased;
  sum.followed += run * eased;
}

// What an instance earns over time (gepetto.md 4.7): its first multiplier for two hours, easing until eight hours after activation to what
// the chute pays then. Pure; ages in hours since activation, pay in multiplier-hours.

const frozenHours = 2;
/** So long after activation an instance earns what it got then. */
export const frozenMs = frozenHours * 3_600_000;
const easedHours = 8;
/** Share of the multiplier that the time from instance to activation earns. */
export const startupShare = 0.3;
/** Public instances that the miner removes earlier earn nothing. */
export const paidAfterHours = 1;

/** Weight of the chute's own multiplier at an age. */
function easing(age: number): number {
  return Math.min(1, Math.max(0, (age - frozenHours) / (easedHours - frozenHours)));
}

export function multiplierAt(first: number, run: number, age: number): number {
  const weight = easing(age);
  return first + (run - first) * weight;
}

/** The multiplier at activation, from what the instance earns at an age; what it earns now once nothing of the first is left. */
export function firstFrom(multiplier: number, run: number, age: number): number {
  const weight = easing(age);
  return weight > 0.9 ? multiplier : Math.max(0, (multiplier - run * weight) / (1 - weight));
}

/** Integral of `max(0, y)` for a line from `y0` to `y1` over `width`. */
function above(y0: number, y1: number, width: number): number {
  if (width <= 0) return 0;
  if (y0 >= 0 && y1 >= 0) return ((y0 + y1) / 2) * width;
  if (y0 <= 0 && y1 <= 0) return 0;
  const high = Math.max(y0, y1);
  return ((high / 2) * width * high) / Math.abs(y1 - y0);
}

/** Pay above `floor` between two ages: below it, the GPUs have something better to do. */
export function payAbove(first: number, run: number, from: number, to: number, floor: number): number {
  let sum = above(first - floor, first - floor, Math.min(to, frozenHours) - from);
  const start = Math.max(from, frozenHours);
  const end = Math.min(to, easedHours);
  if (end > start) {
    sum += above(multiplierAt(first, run, start) - floor, multiplierAt(first, run, end) - floor, end - start);
  }
  return sum + above(run - floor, run - floor, to - Math.max(from, easedHours));
}

const bountyOpening = 1.5;
const bountyRise = 1;
const bountyRiseMs = 10_800_000;

/** Factor of a bounty at an age: 1.5 when it opens, 2.5 from three hours on. */
export function bountyBoost(ageMs: number): number {
  return bountyOpening + bountyRise * Math.min(1, Math.max(0, ageMs) / bountyRiseMs);
}

/** Age of a bounty from its amount, which is 100 and 3 more each second. */
export function bountyAgeMs(amount: number): number {
  return (Math.max(0, amount - 100) / 3) * 1000;
}

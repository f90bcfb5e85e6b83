// What the strategist assumes about the market where nothing is known, and how sure a swap has to be. Hours, multiplier-hours, shares.

export interface Tuning {
  /** How far ahead pay is counted. */
  horizonHours: number;
  /** A swap must gain this share of the loss more than it loses. */
  marginShare: number;
  /** And this many multiplier-hours for each GPU. */
  margin: number;
  /** Per hour and wanted instance: others fill the place first. */
  fillHazard: number;
  /** Per hour: somebody else takes an open bounty. */
  bountyHazard: number;
  /** How long a rental runs. */
  jobHours: number;
  /** Per hour: somebody else takes an offered rental. */
  jobHazard: number;
  /** Pay per GPU-hour below which the GPUs have something better to do. */
  floorShare: number;
  /** Nobody is removed before this age; paid from one hour on. */
  ageGuardHours: number;
}

export const tuning: Tuning = {
  horizonHours: 6,
  marginShare: 0.1,
  margin: 0.05,
  fillHazard: 0.5,
  bountyHazard: 1.6,
  jobHours: 1.6,
  jobHazard: 8,
  floorShare: 0,
  ageGuardHours: 1.02,
};

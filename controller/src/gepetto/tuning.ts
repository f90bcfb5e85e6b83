// What the strategist assumes about the market where nothing is known, and how sure a swap has to be. Hours, multiplier-hours, shares.

export interface Tuning {
  /** How far ahead pay is counted. */
  horizonHours: number;
  /** A swap must gain this share of the loss more than it loses. */
  marginShare: number;
  /** And this many multiplier-hours for each GPU. */
  margin: number;
  /** Per hour, for one open place of a chute with one wanted instance: others fill it first. Coming and going grows as the root of the number. */
  fillHazard: number;
  /** Per hour: somebody else takes an open bounty. */
  bountyHazard: number;
  /** How long a rental runs. */
  jobHours: number;
  /** Per hour: somebody else takes an offered rental. */
  jobHazard: number;
  /** Pay below this share of what their kind earns on average: the GPUs have something better to do. */
  floorShare: number;
  /** GPUs of offers that it takes to set the price. */
  floorGpus: number;
  /** What a GPU-hour in a broken hole costs, as a share of what the kind earns. */
  holeShare: number;
  /** Nobody is removed before this age; paid from one hour on. */
  ageGuardHours: number;
}

export const tuning: Tuning = {
  horizonHours: 6,
  marginShare: 0.2,
  margin: 0.6,
  fillHazard: 0.9,
  bountyHazard: 1.6,
  jobHours: 1.6,
  jobHazard: 8,
  floorShare: 0.7,
  floorGpus: 4,
  holeShare: 0.1,
  ageGuardHours: 1.02,
};

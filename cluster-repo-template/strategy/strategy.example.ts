// An example of a strategy of your own. To use one, write it into strategy.ts beside this file and push; until then the built-in
// strategy decides alone. Each hook may be left out, and each may return nothing to leave things as they are.

import type { Place, Score, Veto, Victims } from './hooks.ts';

const hourMs = 3_600_000;

/** Bounties of chutes that nobody else runs yet are worth more to us; large chutes have to pay for the trouble. */
export const score: Score = ({ chute, job, kind }) => {
  if (job) return kind.hourlyCost > 3 ? 0.5 : undefined;
  if (chute.bounty > 0 && chute.active === 0) return 1.2;
  return chute.gpuCount >= 8 ? 0.9 : undefined;
};

/** Among servers that suit, those that cost less than 2 USD per GPU-hour. */
export const place: Place = ({ server }) => (server.hourlyCost < 2 ? 1.05 : undefined);

/** Nothing starts on a server that leaves within six hours, and no chute without a bounty on those named `spare-…`. */
export const veto: Veto = ({ now, chute, job, server }) => {
  if (server.leavingAt !== null && server.leavingAt - now < 6 * hourMs) return true;
  return server.name.startsWith('spare-') && chute.bounty === 0 && job === null;
};

/** What earns more than 4 per GPU stays, whatever is on offer. */
export const victims: Victims = ({ deployment }) => (deployment.multiplier / deployment.gpus > 4 ? 'keep' : undefined);

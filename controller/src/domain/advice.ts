// What the planner asks a strategy of the owner, all at once, and what it makes of the answer. The answer comes from a program that
// nobody trusts, so it is checked here.

import { z } from 'zod';
import type { ChuteView, DeploymentView, JobView, ServerView } from './hooks.ts';

/** Something that could be started. */
export interface Offer {
  /** Job id of a rental, else chute id. */
  key: string;
  chute: ChuteView;
  job: JobView | null;
  /** By GPU model, the servers that suit: positions in `servers`. */
  sites: readonly { gpu: string; servers: readonly number[] }[];
}

/** One pass as the hooks see it. JSON. */
export interface Question {
  /** ms since the Unix epoch. */
  now: number;
  servers: readonly ServerView[];
  offers: readonly Offer[];
  /** Those that might be removed for something better. */
  deployments: readonly { chute: ChuteView; server: number; deployment: DeploymentView }[];
}

const factor = z.number().min(0).max(1000);

/** Only what differs from the default: factor 1, no veto. `closed`: GPU models of which every server is vetoed. */
export const answerSchema = z.strictObject({
  offers: z.record(
    z.string(),
    z.strictObject({
      score: z.record(z.string(), factor).optional(),
      place: z.record(z.string(), factor).optional(),
      veto: z.array(z.string()).optional(),
      closed: z.array(z.string()).optional(),
    }),
  ),
  deployments: z.record(z.string(), z.union([factor, z.literal('keep')])),
});
export type Answer = z.infer<typeof answerSchema>;

export interface OfferAdvice {
  /** Factors by GPU model. */
  score: ReadonlyMap<string, number>;
  /** Factors by server name. */
  place: ReadonlyMap<string, number>;
  /** The largest of those, at least 1. */
  bestPlace: number;
  /** Names of servers, as keys. */
  veto: ReadonlyMap<string, true>;
  /** GPU models of which every server is vetoed, as keys. */
  closed: ReadonlyMap<string, true>;
}

/** The answer as the planner looks things up in it. Maps only: it travels with the planner's memory. */
export interface Advice {
  /** Who decides: `strategy/strategy.ts <id>`, or why it is the default. */
  strategy: string;
  /** By job id or chute id. */
  offers: ReadonlyMap<string, OfferAdvice>;
  deployments: ReadonlyMap<string, number | 'keep'>;
}

export const defaultStrategy = 'default';

/** Nothing is changed; only the name of who decides. */
export function noAdvice(strategy: string): Advice {
  return { strategy, offers: new Map(), deployments: new Map() };
}

export function adviceOf(answer: Answer, strategy: string): Advice {
  const offers = Object.entries(answer.offers).map(([key, { score = {}, place = {}, veto = [], closed = [] }]) => {
    const advice: OfferAdvice = {
      score: new Map(Object.entries(score)),
      place: new Map(Object.entries(place)),
      bestPlace: Object.values(place).reduce((best, one) => Math.max(best, one), 1),
      veto: new Map(veto.map((server) => [server, true])),
      closed: new Map(closed.map((gpu) => [gpu, true])),
    };
    return [key, advice] as const;
  });
  return { strategy, offers: new Map(offers), deployments: new Map(Object.entries(answer.deployments)) };
}

/** Factor on what an offer brings on a server with this GPU model. */
export function weightOf(advice: OfferAdvice | undefined, gpu: string, server: string): number {
  if (!advice) return 1;
  return (advice.score.get(gpu) ?? 1) * (advice.place.get(server) ?? 1);
}

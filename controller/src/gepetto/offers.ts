// Rentals on offer, as events tell of them (gepetto.md 6). Kept in memory only: an offer that a restart forgets is gone within seconds
// anyway, and one that was taken has its row in the store.

import type { Chute } from '../domain/chute.ts';
import type { ValidatorEvent } from '../domain/event.ts';
import type { JobOffer } from './world.ts';

type JobCreated = Extract<ValidatorEvent, { type: 'job_created' }>['data'];

/** The validator gives a rental to the first that claims it; an offer this old is not asked for any more, ms. */
const offerLifeMs = 3_600_000;

export interface OfferBook {
  /** Heard again, for example after a release: the first time stays, the newest terms count. */
  offer(data: JobCreated, now: number): void;
  end(jobId: string): void;
  /** For `World.jobs`; what an offer leaves out is taken from its chute, and one of an unknown chute is left out. */
  open(now: number, chutes: ReadonlyMap<string, Chute>): ReadonlyMap<string, JobOffer>;
}

/** Both spellings of the list of hotkeys that may not take it are read (gepetto.md E11). */
export function createOfferBook(): OfferBook {
  const offers = new Map<string, { heardAt: number; data: JobCreated }>();
  // A late copy of the offer must not bring back what has ended.
  const ended = new Map<string, number>();

  function forgetOld(now: number): void {
    for (const [jobId, { heardAt }] of offers) if (now - heardAt >= offerLifeMs) offers.delete(jobId);
    for (const [jobId, at] of ended) if (now - at >= 2 * offerLifeMs) ended.delete(jobId);
  }

  let latest = 0;
  return {
    offer(data, now) {
      latest = Math.max(latest, now);
      forgetOld(now);
      if (ended.has(data.job_id)) return;
      offers.set(data.job_id, { heardAt: offers.get(data.job_id)?.heardAt ?? now, data });
    },
    end(jobId) {
      offers.delete(jobId);
      ended.set(jobId, latest);
    },
    open(now, chutes) {
      latest = Math.max(latest, now);
      forgetOld(now);
      const open = new Map<string, JobOffer>();
      for (const { data } of offers.values()) {
        const chute = chutes.get(data.chute_id);
        if (chute) open.set(data.job_id, offerOf(data, chute));
      }
      return open;
    },
  };
}

function offerOf(data: JobCreated, chute: Chute): JobOffer {
  return {
    jobId: data.job_id,
    chuteId: data.chute_id,
    gpuCount: data.gpu_count ?? chute.gpuCount,
    computeMultiplier: data.compute_multiplier ?? chute.effectiveComputeMultiplier,
    diskGb: data.disk_gb,
    excluded: [...(data.exclude ?? []), ...(data.excluded ?? [])],
    attempted: false,
  };
}

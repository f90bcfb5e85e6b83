// Rentals on offer, as events tell of them (gepetto.md 6), each with the one attempt that this miner has. What a restart forgets is told
// again from the journal and from the rows of the attempts.

import type { Chute } from '../domain/chute.ts';
import type { ValidatorEvent } from '../domain/event.ts';
import type { JobOffer } from './world.ts';

type JobCreated = Extract<ValidatorEvent, { type: 'job_created' }>['data'];

/** The validator gives a rental to the first that claims it; an offer this old is not asked for any more, ms. */
export const offerLifeMs = 3_600_000;

export interface OfferBook {
  /** Heard again, for example after a release: the first time stays, the newest terms count. */
  offer(data: JobCreated, now: number): void;
  end(jobId: string, now: number): void;
  /** Its only token was asked for. */
  attempt(jobId: string, now: number): void;
  /**
   * For `World.jobs`; what an offer leaves out is taken from its chute. One of an unknown chute is left out, and one for another number of
   * GPUs than its chute has now: its claim would be refused, and the attempt lost (gepetto.md 4.7).
   */
  open(now: number, chutes: ReadonlyMap<string, Chute>): ReadonlyMap<string, JobOffer>;
}

/** Both spellings of the list of hotkeys that may not take it are read (gepetto.md E11). */
export function createOfferBook(): OfferBook {
  const offers = new Map<string, { heardAt: number; data: JobCreated }>();
  // A late copy of the offer must not bring back what has ended.
  const ended = new Map<string, number>();
  const attempted = new Map<string, number>();

  function forgetOld(now: number): void {
    for (const [jobId, { heardAt }] of offers) if (now - heardAt >= offerLifeMs) offers.delete(jobId);
    for (const past of [ended, attempted]) {
      for (const [jobId, at] of past) if (now - at >= 2 * offerLifeMs) past.delete(jobId);
    }
  }

  return {
    offer(data, now) {
      forgetOld(now);
      if (ended.has(data.job_id)) return;
      const known = offers.get(data.job_id);
      // A repeated offer names no disk (gepetto.md 1.2).
      const diskGb = Math.max(data.disk_gb, known?.data.disk_gb ?? 0);
      offers.set(data.job_id, { heardAt: known?.heardAt ?? now, data: { ...data, disk_gb: diskGb } });
    },
    end(jobId, now) {
      offers.delete(jobId);
      ended.set(jobId, now);
    },
    attempt(jobId, now) {
      attempted.set(jobId, now);
    },
    open(now, chutes) {
      forgetOld(now);
      const open = new Map<string, JobOffer>();
      for (const { data } of offers.values()) {
        const chute = chutes.get(data.chute_id);
        if (!chute || (data.gpu_count ?? chute.gpuCount) !== chute.gpuCount) continue;
        open.set(data.job_id, { ...offerOf(data, chute), attempted: attempted.has(data.job_id) });
      }
      return open;
    },
  };
}

function offerOf(data: JobCreated, chute: Chute): Omit<JobOffer, 'attempted'> {
  return {
    jobId: data.job_id,
    chuteId: data.chute_id,
    gpuCount: chute.gpuCount,
    computeMultiplier: data.compute_multiplier ?? chute.effectiveComputeMultiplier,
    diskGb: data.disk_gb,
    excluded: [...(data.exclude ?? []), ...(data.excluded ?? [])],
  };
}

// What an event changes: facts go to the store, everything else is a hint to look again. Every handler may see the same event twice or
// late, so each only records the first of a thing (gepetto.md 3.4, E1-E17).

import type { MinerEvent } from '../domain/event.ts';
import type { Store } from '../domain/ports.ts';
import type { OfferBook } from './offers.ts';

export interface EventEffects {
  store: Pick<Store, 'linkInstance' | 'markInstance' | 'markGpusVerified' | 'verifications' | 'lifecycles' | 'mark'>;
  /** Own hotkey (ss58). */
  hotkey: string;
  now(): number;
  /** Fetch the feeds again, then plan. */
  refresh(): void;
  /** The validator wants this instance replaced by a newer version. */
  rolling(instanceId: string): void;
  /** Ask the validator whether that version of the chute is really gone before anything is removed. */
  suspectGone(validator: string, chuteId: string, version: string): void;
  /** Rentals; without it none is taken. */
  offers?: Pick<OfferBook, 'offer' | 'end'>;
}

/** Then the pod of the verification holds the GPU until it is gone, and the verification marks it afterwards. */
async function isBeingVerified(gpuId: string, store: EventEffects['store']): Promise<boolean> {
  const underWay = await store.verifications();
  return underWay.some(({ facts }) => facts.server?.gpus.some((gpu) => gpu.gpuId === gpuId));
}

export async function handleEvent(event: MinerEvent, effects: EventEffects): Promise<void> {
  const { store, hotkey } = effects;
  switch (event.type) {
    case 'instance_created':
      if (event.data.miner_hotkey !== hotkey) return;
      await store.linkInstance(event.data.config_id, event.data.instance_id, effects.now());
      return;
    case 'instance_verified':
      if (event.data.miner_hotkey !== hotkey) return;
      await store.markInstance('verifiedAt', { instanceId: event.data.instance_id }, effects.now());
      return;
    case 'instance_activated':
      await store.markInstance('activatedAt', { configId: event.data.config_id }, effects.now());
      return;
    case 'instance_deleted': {
      const { instance_id: instanceId, config_id: configId } = event.data;
      await store.markInstance('instanceGoneAt', { instanceId, configId: configId ?? undefined }, effects.now());
      // Its place counts as open again only once the feeds say so.
      effects.refresh();
      return;
    }
    case 'gpu_verified':
      if (!(await isBeingVerified(event.data.gpu_id, store))) await store.markGpusVerified([event.data.gpu_id]);
      return;
    case 'rolling_update':
      effects.rolling(event.data.instance_id);
      effects.refresh();
      return;
    case 'chute_deleted':
      effects.suspectGone(event.validator, event.data.chute_id, event.data.version);
      effects.refresh();
      return;
    case 'chute_created':
    case 'chute_updated':
    case 'image_updated':
    case 'bounty_change':
      effects.refresh();
      return;
    case 'job_created':
      effects.offers?.offer(event.data, effects.now());
      return;
    case 'job_deleted':
      effects.offers?.end(event.data.job_id, effects.now());
      await endJob(event.data.job_id, effects);
      return;
    case 'image_created':
    case 'image_deleted':
    case 'server_deleted':
      return;
  }
}

/** The validator ended the job, and with it the instance that ran it. */
async function endJob(jobId: string, { store, now }: EventEffects): Promise<void> {
  const rows = (await store.lifecycles()).filter((row) => row.jobId === jobId && row.instanceGoneAt === undefined);
  if (rows.length === 0) return;
  await store.mark(
    'instanceGoneAt',
    rows.map(({ deploymentId }) => deploymentId),
    now(),
  );
}

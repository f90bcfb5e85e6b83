// Which chutes have a pod in the cluster that has not ended: their models are in use, from the moment the pod is there until it is gone.
// All nodes of the cluster count, so that a wrong node name cannot make everything look unused.

import { z } from 'zod';
import { MinerError } from '../domain/errors.ts';
import { isUuid } from '../domain/ids.ts';

const podList = z.object({
  kind: z.literal('PodList'),
  metadata: z.object({ continue: z.literal('').optional() }),
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()) }),
      status: z.object({ phase: z.string() }).nullish(),
    }),
  ),
});

const path = '/api/v1/namespaces/chutes/pods?labelSelector=chutes%2Fchute%3Dtrue';
const ended = ['Succeeded', 'Failed'];

/** Ids of chutes. Rejects with E-CLUSTER for anything but a full answer: a pod that is not understood may use any model. */
export async function readLiveChutes(
  get: (path: string) => Promise<{ status: number; body: unknown }>,
): Promise<Set<string>> {
  const { status, body } = await get(path);
  const parsed = podList.safeParse(body);
  if (status !== 200 || !parsed.success) {
    throw new MinerError('E-CLUSTER', `the pods of the cluster cannot be read (status ${status})`);
  }
  const live = parsed.data.items.filter((pod) => !ended.includes(pod.status?.phase ?? ''));
  return new Set(
    live.map(({ metadata: { name, labels } }) => {
      const chuteId = labels['chutes/chute-id'] ?? '';
      if (isUuid(chuteId)) return chuteId;
      throw new MinerError('E-CLUSTER', `pod ${name}: label chutes/chute-id is "${chuteId}", but it must be a UUID`);
    }),
  );
}

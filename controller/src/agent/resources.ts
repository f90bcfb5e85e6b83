// What a control plane of the older kind wants to know about a cluster: every node, and what lives in namespace chutes.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { MinerError } from '../domain/errors.ts';
import type { Kube } from './kube.ts';

const kinds = {
  deployments: ['/apis/apps/v1/namespaces/chutes/deployments', 'apps/v1', 'Deployment'],
  services: ['/api/v1/namespaces/chutes/services', 'v1', 'Service'],
  pods: ['/api/v1/namespaces/chutes/pods', 'v1', 'Pod'],
  nodes: ['/api/v1/nodes', 'v1', 'Node'],
  jobs: ['/apis/batch/v1/namespaces/chutes/jobs', 'batch/v1', 'Job'],
} as const;

export type Resources = Record<keyof typeof kinds, object[]>;

const listAnswer = z.object({ items: z.array(z.looseObject({ metadata: z.looseObject({}) })) });

/** Rejects with E-CLUSTER unless every list was answered: a part of a cluster is not reported as the whole. */
export async function readResources(kube: Kube): Promise<Resources> {
  const lists = Object.entries(kinds).map(async ([name, [path, apiVersion, kind]]) => {
    const { status, body } = await kube.get(path);
    const list = listAnswer.safeParse(body);
    if (status !== 200 || !list.success) {
      throw new MinerError('E-CLUSTER', `the Kubernetes API answered ${status} to the list of ${name}`);
    }
    // Items of a list leave out what the list says for all of them.
    return [name, list.data.items.map((item) => ({ ...item, apiVersion, kind }))];
  });
  return Object.fromEntries(await Promise.all(lists));
}

/** Equal for equal resources. */
export function digestOf(resources: Resources): string {
  return createHash('sha256').update(JSON.stringify(resources)).digest('hex');
}

// The kubeconfig that provisioning left for the miner: Secret default/miner-kubeconfig, key kubeconfig (protocol.md 4.3).

import { z } from 'zod';
import { MinerError } from '../domain/errors.ts';
import type { Kube } from './kube.ts';

const secret = z.object({ data: z.record(z.string(), z.string()).default({}) });
const path = '/api/v1/namespaces/default/secrets/miner-kubeconfig';

export type KubeconfigAnswer =
  | { status: 200; kubeconfig: string }
  /** `detail`: one sentence for the caller. */
  | { status: 403 | 404 | 500; detail: string };

/** Never rejects: whatever goes wrong has a status of the protocol. */
export async function readKubeconfig(kube: Kube): Promise<KubeconfigAnswer> {
  try {
    const { status, body } = await kube.get(path);
    if (status === 404) return { status, detail: 'Secret default/miner-kubeconfig does not exist' };
    if (status === 401 || status === 403) {
      return { status: 403, detail: 'the agent may not read Secret default/miner-kubeconfig' };
    }
    if (status !== 200) return { status: 500, detail: `the Kubernetes API answered ${status}` };
    const { kubeconfig } = secret.parse(body).data;
    if (!kubeconfig) return { status: 404, detail: 'Secret default/miner-kubeconfig has no key kubeconfig' };
    return { status: 200, kubeconfig: Buffer.from(kubeconfig, 'base64').toString('utf8') };
  } catch (error) {
    // A parser's message may quote the Secret.
    const detail = error instanceof MinerError ? error.message : 'the Kubernetes API gave an answer that is no Secret';
    return { status: 500, detail };
  }
}

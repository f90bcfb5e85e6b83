// A server whose GPUs the validator has already, as after the database was lost: it is taken in as it was, while its chutes run on.
// Proving the GPUs again would need all of them free, and the validator would forget its instances first.

import type { ServerConfig } from '../domain/config.ts';
import { MinerError } from '../domain/errors.ts';
import type { MemberNode, ProvenGpu, ValidatorClient } from '../domain/ports.ts';
import { commit, keepDevices, label, takeIn, verified } from './inventory-steps.ts';
import { factOf, type Run, type Step } from './sequence.ts';

function mismatch(request: ServerConfig, node: MemberNode, known: readonly ProvenGpu[]): string | undefined {
  if (known.length !== node.gpus) return `${known.length} verified GPUs, the node has ${node.gpus}`;
  const other = known.find(({ gpuShortRef }) => gpuShortRef !== request.gpuShortRef);
  return other && `a verified ${other.gpuShortRef}, the server has ${request.gpuShortRef}`;
}

/**
 * True when the validator has verified exactly the GPUs of this node. TEE servers are attested anew: their VM may be another one. A
 * validator that does not tell is one that does not know.
 */
export async function isProven(request: ServerConfig, node: MemberNode, validator: ValidatorClient): Promise<boolean> {
  if (node.labels['chutes/tee'] === 'true') return false;
  const known = await validator.provenGpus(node.uid).catch(() => []);
  return known.length > 0 && mismatch(request, node, known) === undefined;
}

const recall: Step = {
  name: 'recall',
  async run(run: Run) {
    const { record, deps, progress } = run;
    const known = await run.validator().provenGpus(factOf(run, 'server').serverId);
    const wrong = mismatch(record.request, record.node, known);
    const [first] = known;
    if (wrong !== undefined || !first) throw new MinerError('E-VERIFICATION', `the validator knows ${wrong}`);
    progress('the validator has verified these GPUs already');
    await keepDevices(
      run,
      known.map(({ deviceInfo }) => deviceInfo),
      first.verificationPort,
    );
    await takeIn.run(run);
    if (first.seed !== undefined) await deps.store.updateServer(record.name, { seed: first.seed });
  },
  undo: takeIn.undo,
};

export const recallSteps: readonly Step[] = [label, recall, verified, commit];

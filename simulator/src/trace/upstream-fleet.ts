// The servers as the upstream rules look at them during one answer: a snapshot less what the answer has promised already, so that two
// actions of one answer never want the same GPU. Server choice is gepetto.md 4.3 and 4.4.

import type { Random } from '@miner/controller/domain/random.ts';
import type { ChuteView, DeploymentView, ServerView, Snapshot } from './protocol.ts';

/** Upstream's SCALE_UP_CANDIDATE_POOL. */
const candidatePool = 2;
export const defaultDiskGb = 10;

export interface Host {
  view: ServerView;
  freeGpus: number;
  freeDiskGb: number;
  /** Less those that this answer preempts. */
  deployments: readonly DeploymentView[];
}

export interface UpstreamFleet {
  /** Usable servers of the right kind for a chute, cheapest first, then the fewest free GPUs. */
  suitable(chute: ChuteView, diskGb: number): Host[];
  /** One of the best two with room, by chance; undefined when none has room. */
  pick(chute: ChuteView, diskGb?: number): Host | undefined;
  /** Books a deploy of this answer. */
  book(host: Host, chute: ChuteView, diskGb: number, victims?: readonly DeploymentView[]): void;
  /** Every own deployment. */
  deployments(): DeploymentView[];
}

export function createFleet({ servers, validator }: Snapshot, random: Random): UpstreamFleet {
  const hosts = servers
    .filter((view) => view.status === 'ready' && !view.locked && view.validator === validator)
    .map((view): Host => {
      const { free_gpu_ids, disk_free_gb, deployments } = view;
      return { view, freeGpus: free_gpu_ids.length, freeDiskGb: disk_free_gb, deployments };
    });
  let open: Host[] | undefined;

  const byCost = (a: Host, b: Host) => a.view.hourly_cost - b.view.hourly_cost || a.freeGpus - b.freeGpus;
  const takes = ({ view }: Host, { tee, supported_gpus }: ChuteView) =>
    view.is_tee === tee && supported_gpus.includes(view.gpu_short_ref);

  return {
    suitable: (chute, diskGb) =>
      hosts
        .filter((host) => host.view.gpu_count >= chute.gpu_count && host.freeDiskGb >= diskGb && takes(host, chute))
        .sort(byCost),
    pick(chute, diskGb = defaultDiskGb) {
      // Most servers of a busy fleet are full, and this is asked for every chute.
      open ??= hosts.filter(({ freeGpus }) => freeGpus > 0).sort(byCost);
      const best: Host[] = [];
      for (const host of open) {
        if (host.freeGpus < chute.gpu_count || host.freeDiskGb < diskGb || !takes(host, chute)) continue;
        best.push(host);
        if (best.length === candidatePool) break;
      }
      return best[Math.floor(random() * best.length)];
    },
    book(host, { gpu_count }, diskGb, victims = []) {
      // What victims leave over is draining, so it is not free for the rest of this answer.
      host.freeGpus = Math.max(0, host.freeGpus - gpu_count);
      host.freeDiskGb += victims.reduce((sum, { disk_gb }) => sum + disk_gb, -diskGb);
      host.deployments = host.deployments.filter((deployment) => !victims.includes(deployment));
      open = undefined;
    },
    deployments: () => servers.flatMap(({ deployments }) => deployments),
  };
}

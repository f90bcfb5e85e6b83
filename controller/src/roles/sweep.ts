// Launch Secrets live only until activation or removal (design 3.7). A launch has its row before its Secret, so a Secret whose row is
// neither active nor removed, committed or not yet, is left alone.

import { messageOf } from '../domain/errors.ts';
import type { ClusterRepo, Members, Store } from '../domain/ports.ts';

export interface SweepParts {
  members: Pick<Members, 'observe' | 'launchSecrets' | 'deleteLaunchSecret'>;
  store: Pick<Store, 'lifecycles'>;
  repo: Pick<ClusterRepo, 'readLive'>;
  log(message: string): void;
}

/** Delete the Secrets of deployments that are active or no longer wanted. Returns how many went. */
export async function sweepSecrets({ members, store, repo, log }: SweepParts): Promise<number> {
  const found: [member: string, deploymentId: string][] = [];
  for (const [member, health] of members.observe().health) {
    if (health.state !== 'healthy') continue;
    try {
      for (const deploymentId of await members.launchSecrets(member)) found.push([member, deploymentId]);
    } catch (error) {
      log(`launch Secrets of ${member} not swept: ${messageOf(error)}`);
    }
  }
  if (found.length === 0) return 0;
  // Read after the Secrets: the row of each is older than the Secret.
  const rows = new Map((await store.lifecycles()).map((row) => [row.deploymentId, row]));
  const { deployments: desired } = await repo.readLive();
  let deleted = 0;
  for (const [member, deploymentId] of found) {
    const row = rows.get(deploymentId);
    const needed = row ? row.activatedAt === undefined && row.removedAt === undefined : desired.has(deploymentId);
    if (needed) continue;
    try {
      await members.deleteLaunchSecret(member, deploymentId);
      deleted += 1;
    } catch (error) {
      log(`launch Secret of ${deploymentId} stays on ${member}: ${messageOf(error)}`);
    }
  }
  return deleted;
}

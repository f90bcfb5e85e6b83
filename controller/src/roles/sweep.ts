// Launch Secrets live only until activation or removal (design 3.7). Runs between passes, so no launch is in flight.

import type { DeploymentLifecycle, DeploymentSpec } from '../domain/deployment.ts';
import { messageOf } from '../domain/errors.ts';
import type { Members } from '../domain/ports.ts';

export interface SweepParts {
  members: Pick<Members, 'observe' | 'launchSecrets' | 'deleteLaunchSecret'>;
  lifecycles: ReadonlyMap<string, DeploymentLifecycle>;
  desired: ReadonlyMap<string, DeploymentSpec>;
  log(message: string): void;
}

/** Delete the Secrets of deployments that are active or no longer wanted. Returns how many went. */
export async function sweepSecrets({ members, lifecycles, desired, log }: SweepParts): Promise<number> {
  let deleted = 0;
  for (const [member, health] of members.observe().health) {
    if (health.state !== 'healthy') continue;
    try {
      for (const deploymentId of await members.launchSecrets(member)) {
        const needed = desired.has(deploymentId) && lifecycles.get(deploymentId)?.activatedAt === undefined;
        if (needed) continue;
        await members.deleteLaunchSecret(member, deploymentId);
        deleted += 1;
      }
    } catch (error) {
      log(`launch Secrets of ${member} not swept: ${messageOf(error)}`);
    }
  }
  return deleted;
}

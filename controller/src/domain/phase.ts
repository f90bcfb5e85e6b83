// A deployment's life in one word, derived from its times (design 7); never stored.

import type { DeploymentLifecycle } from './deployment.ts';

export type DeploymentPhase =
  | 'planned'
  | 'committed'
  | 'running'
  | 'claimed'
  | 'verified'
  | 'active'
  | 'draining'
  | 'gone';

export function phaseOf(row: DeploymentLifecycle): DeploymentPhase {
  if (row.goneAt !== undefined) return 'gone';
  if (row.removedAt !== undefined) return 'draining';
  if (row.activatedAt !== undefined) return 'active';
  if (row.verifiedAt !== undefined) return 'verified';
  if (row.claimedAt !== undefined) return 'claimed';
  if (row.runningAt !== undefined) return 'running';
  return row.committedAt === undefined ? 'planned' : 'committed';
}

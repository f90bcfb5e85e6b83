// What a plan asks for besides commits: bookkeeping in the store and clean-up at the validator.

import type { DeploymentSpec } from '../domain/deployment.ts';

export type Effect =
  /** In git but not in the store (a lost database): make its row. */
  | { kind: 'adopt'; spec: DeploymentSpec }
  | { kind: 'mark'; step: 'committedAt' | 'runningAt' | 'removedAt' | 'goneAt'; deploymentId: string; at: number }
  /** Left git for a newcomer, and the miner died before it could note that. */
  | { kind: 'finish-removal'; deploymentId: string; at: number }
  /** A rental whose launch never reached git: its token is lost with the miner that held it. */
  | { kind: 'release-job'; validator: string; jobId: string }
  | { kind: 'link-instance'; configId: string; instanceId: string; at: number }
  | { kind: 'mark-instance'; step: 'verifiedAt' | 'activatedAt'; instanceId: string; at: number }
  | {
      kind: 'delete-instance';
      validator: string;
      chuteId: string;
      instanceId: string;
      /** Whose instance it was; undefined for one that nothing here knows. */
      deploymentId: string | undefined;
    };

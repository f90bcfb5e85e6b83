// A decision: one change to the desired state, with what decided it. A batch of decisions becomes one commit on `live`.

import type { DeploymentSpec, RemoveReason } from './deployment.ts';

/** The numbers that decided, by name, in the order in which they are shown. */
export type Numbers = Readonly<Record<string, number>>;

export interface Alternative {
  chuteName: string;
  server: string;
  /** Value of the option that lost, in the unit of the winner's `value`. */
  value: number;
  /** Why it lost. */
  because: string;
}

export interface DeployDecision {
  kind: 'deploy';
  decisionId: string;
  /** Complete but for `configId`, which the launch fills in. */
  spec: DeploymentSpec;
  numbers: Numbers;
  alternatives: readonly Alternative[];
  /** Who decided: `default`, or the owner's strategy by path and id. */
  strategy?: string | undefined;
  /** Replicas of the chute before this decision. */
  replicasBefore: number;
}

export interface RemoveDecision {
  kind: 'remove';
  decisionId: string;
  spec: DeploymentSpec;
  reason: RemoveReason;
  /** One sentence: the observation it rests on. */
  because: string;
  /** Only where it was weighed against something. */
  numbers?: Numbers;
}

export type Decision = DeployDecision | RemoveDecision;

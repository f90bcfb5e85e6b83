// What the API needs of the rest of the miner.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import type { ServerConfig } from '../domain/config.ts';
import type { ClusterRepo, Observation, Store } from '../domain/ports.ts';

/** Adding and deleting servers. */
export interface NodeActions {
  /** Run the checks; rejects with a MinerError. What it gives is run at once, and must not be left. */
  prepare(request: ServerConfig): Promise<{
    run(progress: (message: string) => void, signal: AbortSignal): Promise<void>;
  }>;
  /** Runs in the background; what it rejects with is logged. */
  deleteNode(name: string): Promise<void>;
}

export interface ApiOptions {
  /** The miner itself: the only one whose requests are accepted. */
  signer: { readonly address: string };
  store: Pick<Store, 'servers' | 'lifecycles' | 'chutes' | 'updateServer'>;
  nodes: NodeActions;
  /** Price and lock of a server are what branch `main` says. */
  repo: Pick<ClusterRepo, 'readMain' | 'writeServer'>;
  log: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** The document of `GET /status`; undefined while there is none yet. */
  status(): Promise<object | undefined>;
  /** Ask for the removal of deployments; returns when the request is taken down, not when it is done. */
  undeploy(deploymentIds: readonly string[]): void | Promise<void>;
  /** Called when the inventory may have changed through the API. */
  changed(): void;
  /** Health of the member clusters; without it every server's status is `Unknown`. */
  observe?(): Pick<Observation, 'health'>;
  /** What does not work, one sentence each; empty is healthy. */
  problems?(): readonly string[];
  /** Called after each answer, for metrics. `route` is the pattern, not the path. */
  onAnswer?(answer: { method: string; route: string; status: number; ms: number }): void;
  /** Real time by default: signatures are made and checked with it. */
  clock?: Pick<Clock, 'now'>;
}

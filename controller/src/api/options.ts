// What the API needs of the rest of the miner.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import type { ServerConfig } from '../domain/config.ts';
import type { Decision } from '../domain/decision.ts';
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

/** Whether one part of the miner works, for `/readyz`. */
export interface PartReadiness {
  part: string;
  ok: boolean;
  /** Since when it is as it is, ms since the Unix epoch. */
  since?: number | undefined;
  /** One sentence. Anybody may read it: no secret, no address with a password. */
  detail?: string | undefined;
}

/** At most `max` in `perMs` milliseconds from one source: an IPv4 address or an IPv6 /64. */
export interface Limit {
  max: number;
  perMs: number;
}

export interface ApiLimits {
  /** Requests of any kind; default 100 in a second. */
  requests?: Limit;
  /** Requests whose signature does not hold; default 20 in a second. Beyond it, signatures of that source are not even looked at. */
  refusals?: Limit;
}

export interface PlanAnswer {
  decisions: readonly Decision[];
  held: readonly string[];
  blocked: readonly string[];
  /** Of the chutes with the id or name that was asked about: why each gets no deployment now. */
  whyNot: readonly { chuteId: string; chuteName: string; reasons: readonly string[] }[];
}

export interface ApiOptions {
  /** The miner itself: the only one whose requests are accepted. */
  signer: { readonly address: string };
  store: Pick<Store, 'servers' | 'lifecycles' | 'chutes' | 'updateServer' | 'decisions'>;
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
  /** What Gepetto would decide now, and what it would hold back; nothing is launched or written. Without it `GET /plan` is 404. */
  plan?(chute?: string): Promise<PlanAnswer>;
  /** JSON text of what a plan is made from; without it `GET /plan/world` is 404. */
  world?(): Promise<string>;
  /** Health of the member clusters; without it every server's status is `Unknown`. */
  observe?(): Pick<Observation, 'health'>;
  /** Kubeconfig (YAML or JSON text) by server name, of those that have one. Without it `GET /servers/kubeconfig` merges none. */
  kubeconfigs?(): Promise<ReadonlyMap<string, string>>;
  /** Kubeconfig of the control cluster; its current context comes first. */
  controlKubeconfig?(): Promise<string | undefined>;
  /** Every part that must work before the miner does; without it `/readyz` says ready as soon as the API listens. */
  readiness?(): Promise<readonly PartReadiness[]>;
  /** What `GET /metrics` answers; without it that route is 404. */
  metrics?: { readonly contentType: string; expose(): Promise<string> };
  /** Called after each answer, for metrics. `route` is the pattern, not the path; empty when no route fits. */
  onAnswer?(answer: { method: string; route: string; status: number; ms: number }): void;
  /** Called for each request whose signature does not hold; the reasons are few fixed texts. */
  onRefused?(reason: string): void;
  /** Called for each request that was turned away by a limit. */
  onLimited?(limit: keyof ApiLimits): void;
  limits?: ApiLimits;
  /** Real time by default: signatures are made and checked with it. */
  clock?: Pick<Clock, 'now'>;
}

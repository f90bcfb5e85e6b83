// What the miner would tell about itself now: one JSON document for people's tools and the demo. Times in ms since the Unix epoch.

import type { DeploymentLifecycle } from '../domain/deployment.ts';
import { phaseOf } from '../domain/phase.ts';
import type { StoredDecision } from '../domain/ports.ts';
import type { Snapshot } from '../gepetto/pass.ts';

export interface Status {
  now: number;
  hotkey: string;
  mode: string;
  /** Newest commit of `main`, and the one that Gepetto's last pass followed: for a moment after a push they differ. */
  configCommit: string;
  plannedWith: string | undefined;
  liveCommit: string;
  validators: { hotkey: string; connected: boolean; feedsAt: number | undefined }[];
  servers: {
    name: string;
    gpuShortRef: string;
    gpus: number;
    gpusUsed: number;
    gpusVerified: number;
    /** USD for all its GPUs. */
    costPerHour: number;
    health: string;
    locked: boolean;
  }[];
  deployments: (DeploymentLifecycle & { chuteName: string; phase: string })[];
  /** Newest first. */
  decisions: {
    decisionId: string;
    at: number;
    kind: string;
    chuteName: string;
    server: string;
    reason: string;
    because: string;
    commit: string | undefined;
  }[];
  /** What waits for a person. */
  held: readonly string[];
  /** What the policy kept from happening in the last pass, one sentence for each rule. */
  blocked: readonly string[];
}

export interface StatusParts {
  now: number;
  hotkey: string;
  snapshot: Snapshot;
  decisions: readonly StoredDecision[];
  held: readonly string[];
  blocked: readonly string[];
  plannedWith: string | undefined;
  connected: (validator: string) => boolean;
}

export function statusOf(parts: StatusParts): Status {
  const { now, hotkey, snapshot, decisions, held, blocked, plannedWith, connected } = parts;
  const { world, policy, live, configCommit } = snapshot;
  const used = new Map<string, number>();
  for (const spec of world.desired.values()) used.set(spec.server, (used.get(spec.server) ?? 0) + spec.gpuIds.length);
  return {
    now,
    hotkey,
    mode: policy.mode,
    configCommit,
    plannedWith,
    liveCommit: live.commit,
    validators: [...world.feeds].map(([validator, feeds]) => ({
      hotkey: validator,
      connected: connected(validator),
      feedsAt: feeds.chutes.fetchedAt,
    })),
    servers: world.servers.map((server) => ({
      name: server.name,
      gpuShortRef: server.gpuShortRef,
      gpus: server.gpus.length,
      gpusUsed: used.get(server.name) ?? 0,
      gpusVerified: server.gpus.filter((gpu) => gpu.verified).length,
      costPerHour: server.hourlyCost * server.gpus.length,
      health: world.health.get(server.name)?.state ?? 'unknown',
      locked: server.locked,
    })),
    deployments: [...world.lifecycles.values()].map((row) => ({
      ...row,
      chuteName: world.desired.get(row.deploymentId)?.chuteName ?? world.chutes.get(row.chuteId)?.name ?? row.chuteId,
      phase: phaseOf(row),
    })),
    decisions: decisions.map(({ decisionId, decidedAt, decision, commit }) => ({
      decisionId,
      at: decidedAt,
      kind: decision.kind,
      chuteName: decision.spec.chuteName,
      server: decision.spec.server,
      reason: decision.kind === 'deploy' ? decision.spec.reason : decision.reason,
      because: decision.kind === 'deploy' ? numbersText(decision.numbers) : decision.because,
      commit,
    })),
    held,
    blocked,
  };
}

function numbersText(numbers: Readonly<Record<string, number>>): string {
  return Object.entries(numbers)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
    .join(', ');
}

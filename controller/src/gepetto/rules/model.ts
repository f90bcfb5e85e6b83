// A miner's surroundings in memory, for tests of whole passes: git, store, validator and one cluster per server, each with its own truth.
// Any call of a pass can be made the last one before a crash.

import type { Chute } from '../../domain/chute.ts';
import type { Decision } from '../../domain/decision.ts';
import type { DeploymentLifecycle, DeploymentSpec, ObservedPod } from '../../domain/deployment.ts';
import { lifecycleOf } from '../../domain/lifecycle.ts';
import type { Feeds, LifecycleStep, RemoteInstance } from '../../domain/ports.ts';
import { seededRandom } from '../../domain/random.ts';
import type { Server } from '../../domain/server.ts';
import type { EventEffects } from '../events.ts';
import * as f from '../fixtures.ts';
import { type PassPorts, type PassResult, runPass } from '../pass.ts';
import type { PassMemory } from '../swap.ts';
import { emptyMemory, type JobOffer, type World } from '../world.ts';

export interface ModelOptions {
  servers: readonly Server[];
  chutes: readonly Chute[];
  seed?: number;
  /** Answer to a launch; granted unless it says a status. */
  refuse?(spec: DeploymentSpec): number | undefined;
  onLook?(): void;
  onRelease?(): Promise<void>;
}

const crash = new Error('the process died');

type Row = { -readonly [K in keyof DeploymentLifecycle]: DeploymentLifecycle[K] };

/** Part of each answer to a launch here, so that whoever keeps more of it than the id shows it. */
export const theToken = 'a token that nobody may write down';

export function createModel({ servers, chutes, seed = 1, refuse, onLook, onRelease }: ModelOptions) {
  let now = f.now;
  let memory: PassMemory = emptyMemory;
  let random = seededRandom(seed);
  let restarts = 0;
  let refusal: number | undefined;
  let commits = 0;
  let live = new Map<string, DeploymentSpec>();
  let seen: World | undefined;
  let callsLeft = Number.POSITIVE_INFINITY;
  const rows = new Map<string, Row>();
  const pods = new Map<string, ObservedPod>();
  const secrets = new Set<string>();
  const spent = new Set<string>();
  const instances = new Map<string, RemoteInstance>();
  const chuteMap = new Map(chutes.map((one) => [one.chuteId, one]));
  const silent = new Map<string, number>();
  const rolling = new Set<string>();
  const jobs = new Map<string, JobOffer>();
  const log: string[] = [];
  /** Jobs for which a token was given. */
  const attempts: string[] = [];
  const decided: { decision: Decision; world: World }[] = [];
  /** The picture that the miner has of the validator while its feeds fail. */
  let staleFeeds: { instances: Map<string, RemoteInstance>; at: number } | undefined;
  /** Instances of other miners, by chute id. */
  const foreign = new Map<string, number>();

  /** Every call of a port is a step after which the process may die. */
  function step(): void {
    if (callsLeft-- <= 0) throw crash;
  }

  function feeds(): Feeds {
    const at = staleFeeds?.at ?? now;
    const mine = staleFeeds?.instances ?? instances;
    const active = [...mine.values()].filter((one) => one.active);
    const others = [...foreign].flatMap(([chuteId, count]) =>
      Array.from({ length: count }, (_, i) => ({ instanceId: f.id(`other ${chuteId} ${i}`), chuteId })),
    );
    const global = [...active.map(({ instanceId, chuteId }) => ({ instanceId, chuteId })), ...others];
    return {
      chutes: { fetchedAt: at, items: new Map(chuteMap) },
      instances: { fetchedAt: at, items: new Map(mine) },
      globalInstances: {
        fetchedAt: at,
        items: new Map(global.map((one) => [one.instanceId, { ...one, computeMultiplier: 1 }])),
      },
      utilization: { fetchedAt: at, items: new Map() },
      rollingUpdates: { fetchedAt: at, items: new Map() },
      nodes: { fetchedAt: at, items: new Map() },
      cooldowns: { fetchedAt: at, items: new Map() },
    };
  }

  function look(): World {
    return {
      hotkey: f.miner,
      chutes: new Map(chuteMap),
      feeds: new Map([[f.validator, feeds()]]),
      servers,
      configuredServers: new Set(servers.map(({ name }) => name)),
      desired: new Map(live),
      lifecycles: new Map([...rows].map(([id, row]) => [id, { ...row }])),
      // A silent member shows nothing, which is not the same as having nothing.
      pods: [...pods.values()].filter((pod) => !silent.has(pod.server)),
      health: new Map(
        servers.map(({ name }) => {
          const since = silent.get(name);
          // At its worst: the clock of its lists goes on although they show nothing.
          return [name, { state: since === undefined ? 'healthy' : 'unhealthy', since: since ?? 0, syncedAt: now }];
        }),
      ),
      goneChutes: new Set(),
      rollingInstances: new Set(rolling),
      undeployRequests: new Set(
        [...rows.values()].filter((row) => row.undeployAt !== undefined).map((row) => row.deploymentId),
      ),
      jobs: new Map(jobs),
    };
  }

  function first(row: Row | undefined, name: LifecycleStep, at: number): boolean {
    if (row) row[name] ??= at;
    return row !== undefined;
  }

  function byKey({ instanceId, configId }: { instanceId?: string | undefined; configId?: string | undefined }) {
    return [...rows.values()].find(
      (row) =>
        (instanceId !== undefined && row.instanceId === instanceId) ||
        (configId !== undefined && row.configId === configId),
    );
  }

  const store: PassPorts['store'] & EventEffects['store'] = {
    lifecycles: async () => [...rows.values()],
    markGpusVerified: async () => undefined,
    verifications: async () => [],
    async addLifecycle(added) {
      step();
      const orphan = added.find(({ server }) => !servers.some(({ name }) => name === server));
      if (orphan) throw new Error(`no server ${orphan.server}`);
      for (const row of added) if (!rows.has(row.deploymentId)) rows.set(row.deploymentId, { ...row });
    },
    async mark(name, ids, at) {
      step();
      for (const id of ids) first(rows.get(id), name, at);
    },
    async linkInstance(configId, instanceId, at) {
      step();
      const row = byKey({ configId });
      if (!row) return false;
      row.instanceId ??= instanceId;
      row.claimedAt ??= at;
      return true;
    },
    async markInstance(name, key, at) {
      step();
      return first(byKey(key), name, at);
    },
    async saveDecisions() {
      step();
    },
    async decisions() {
      step();
      return [];
    },
  };

  const ports: PassPorts = {
    clock: { now: () => now },
    random: () => random(),
    async look() {
      step();
      onLook?.();
      seen = look();
      return {
        world: seen,
        policy: f.policy(),
        configCommit: 'main',
        live: { commit: String(commits), deployments: seen.desired },
      };
    },
    link: {
      async launch(specs) {
        const outcomes = [];
        for (const spec of specs) {
          step();
          const status = refusal ?? refuse?.(spec);
          log.push(`${status ?? 'token'} ${spec.chuteName} ${spec.version}`);
          if (status !== undefined) {
            outcomes.push({ granted: false as const, status, detail: 'no' });
            continue;
          }
          if (spec.jobId !== undefined) attempts.push(spec.jobId);
          const configId = f.id(`config of ${spec.deploymentId}`);
          step();
          const row = { ...lifecycleOf(spec, now), configId, tokenAt: now };
          rows.set(spec.deploymentId, row);
          step();
          secrets.add(spec.deploymentId);
          rows.set(spec.deploymentId, { ...row, secretAt: now });
          outcomes.push({ granted: true as const, configId, token: theToken });
        }
        return outcomes;
      },
      async cancel(specs) {
        step();
        for (const { deploymentId } of specs) secrets.delete(deploymentId);
      },
      async deleteInstance(_validator, _chuteId, instanceId) {
        step();
        instances.delete(instanceId);
      },
      async releaseJob(_validator, jobId) {
        step();
        await onRelease?.();
        log.push(`release ${jobId}`);
      },
    },
    repo: {
      propose: () => Promise.reject(new Error('nothing is proposed in mode active')),
      async readLive() {
        step();
        return { commit: String(commits), deployments: new Map(live) };
      },
      async commitLive({ decisions }) {
        step();
        const next = new Map(live);
        for (const decision of decisions) {
          const { spec } = decision;
          if (decision.kind === 'deploy') next.set(spec.deploymentId, spec);
          else next.delete(spec.deploymentId);
          log.push(`${decision.kind === 'deploy' ? '+' : '-'} ${spec.chuteName} ${spec.version}`);
          if (seen) decided.push({ decision, world: seen });
        }
        live = next;
        commits += 1;
        step();
        return { commit: String(commits), deployments: new Map(live) };
      },
    },
    store,
    report: (message) => log.push(message),
  };

  /** One pass; `calls`: the process dies at that call of a port and starts anew without its memory. Undefined then. */
  async function pass(calls = Number.POSITIVE_INFINITY): Promise<PassResult | undefined> {
    callsLeft = calls;
    try {
      const result = await runPass(ports, memory);
      memory = result.memory;
      return result;
    } catch (error) {
      if (error !== crash) throw error;
      memory = emptyMemory;
      // Ids never repeat across restarts.
      random = seededRandom(seed + 7919 * ++restarts);
      return undefined;
    } finally {
      callsLeft = Number.POSITIVE_INFINITY;
    }
  }

  /** Argo CD makes each healthy cluster like git; what is no longer wanted gets its signal to end. */
  function sync(): void {
    for (const spec of live.values()) {
      if (silent.has(spec.server) || pods.has(spec.deploymentId)) continue;
      pods.set(
        spec.deploymentId,
        f.pod(spec, { createdAt: now, phase: secrets.has(spec.deploymentId) ? 'Running' : 'Pending' }),
      );
    }
    for (const [id, pod] of pods)
      if (!live.has(id) && !silent.has(pod.server)) pods.set(id, { ...pod, terminating: true });
  }

  /** Pods that were told to end are gone. */
  function drain(): void {
    for (const [id, pod] of pods) if (pod.terminating) pods.delete(id);
  }

  /** Running pods claim their instances. `heard`: the events reach the miner. */
  function claim(heard = true): void {
    for (const [id, pod] of pods) {
      const spec = live.get(id);
      if (!spec?.configId || pod.phase !== 'Running' || pod.terminating) continue;
      // A token is good for one claim.
      if (spent.has(spec.configId)) continue;
      spent.add(spec.configId);
      const instanceId = f.id(`instance of ${id}`);
      instances.set(instanceId, {
        instanceId,
        chuteId: spec.chuteId,
        version: spec.version,
        configId: spec.configId,
        active: false,
        verifiedAt: now,
        activatedAt: undefined,
        computeMultiplier: chuteMap.get(spec.chuteId)?.effectiveComputeMultiplier,
      });
      const row = rows.get(id);
      if (heard && row) {
        row.instanceId ??= instanceId;
        row.claimedAt ??= now;
        row.verifiedAt ??= now;
      }
    }
  }

  function activate(heard = true): void {
    for (const [id, instance] of instances) {
      if (instance.active) continue;
      instances.set(id, { ...instance, active: true, activatedAt: now });
      if (heard) first(byKey({ configId: instance.configId }), 'activatedAt', now);
    }
  }

  return {
    pass,
    sync,
    drain,
    claim,
    activate,
    /** Everything that follows a commit by itself, without a pass. */
    settle() {
      sync();
      drain();
      sync();
      claim();
      activate();
    },
    wait(ms: number) {
      now += ms;
    },
    now: () => now,
    forget() {
      memory = emptyMemory;
    },
    /** For `handleEvent`. */
    effects: {
      store,
      now: () => now,
      refresh: () => undefined,
      rolling: (instanceId: string) => rolling.add(instanceId),
      suspectGone: () => undefined,
    },
    memory: () => memory,
    /** Status of every launch from now on; undefined grants them. */
    refusing(status: number | undefined) {
      refusal = status;
    },
    /** A person takes a deployment out of git by hand. */
    revert(deploymentId: string) {
      live = new Map([...live].filter(([id]) => id !== deploymentId));
      commits += 1;
    },
    /** The database is gone and comes back empty. */
    loseStore() {
      rows.clear();
    },
    look,
    live: () => live,
    rows,
    pods,
    instances,
    chutes: chuteMap,
    silent,
    rolling,
    jobs,
    foreign,
    log,
    attempts,
    decided,
    staleFeeds(on: boolean) {
      staleFeeds = on ? (staleFeeds ?? { instances: new Map(instances), at: now }) : undefined;
    },
  };
}

export type Model = ReturnType<typeof createModel>;

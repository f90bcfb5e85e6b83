// The controller: validators, member clusters, inventory and the miner API. It alone holds the hotkey and writes to clusters; Gepetto sees
// and asks through the link it gives.

import { gravalBootstrap } from '@miner/manifests/charts/graval-bootstrap.ts';
import { applicationOf } from '@miner/manifests/constructs/application-names.ts';
import type { Logger } from 'pino';
import { setLocked } from '../api/inventory.ts';
import { createApi } from '../api/server.ts';
import type { BusHealth } from '../bus/redis.ts';
import { type Clock, systemClock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { LockRequest } from '../domain/lockrequest.ts';
import type { ClusterRepo, ControllerLink, EventBus, PassReport, Store } from '../domain/ports.ts';
import { systemRandom } from '../domain/random.ts';
import { decisionsOf, plan } from '../gepetto/plan.ts';
import type { PassMemory } from '../gepetto/swap.ts';
import { whyNot } from '../gepetto/whynot.ts';
import { emptyMemory } from '../gepetto/world.ts';
import { worldFileText } from '../gepetto/worldfile.ts';
import type { Applications } from '../kubernetes/applications.ts';
import { openMembers } from '../kubernetes/members.ts';
import { createMetrics, type Metrics } from '../metrics/metrics.ts';
import type { Signer } from '../signing/sr25519.ts';
import { fetchKubeconfig } from '../verification/agent.ts';
import { createGuard } from '../verification/guard.ts';
import { createNodes } from '../verification/nodes.ts';
import { createChuteKeeper } from './chutes.ts';
import { createInventory } from './inventory.ts';
import { createLastSeen } from './lastseen.ts';
import { createLauncher } from './launcher.ts';
import { createLook, emptyHints } from './look.ts';
import { type Loop, startLoop } from './loop.ts';
import { metricSources } from './metric-sources.ts';
import { createReadiness, type PartState } from './readiness.ts';
import { type Status, statusOf } from './status.ts';
import { sweepSecrets } from './sweep.ts';
import { openValidators, type Validators } from './validators.ts';

export interface ControllerParts {
  signer: Signer;
  store: Store;
  repo: Pick<ClusterRepo, 'readMain' | 'readLastGoodMain' | 'readLive' | 'writeServer' | 'removeServer'>;
  bus: EventBus;
  clock: Clock;
  log: Logger;
  /** State of the event stream; undefined for events within the process. */
  busHealth?: () => BusHealth;
  /** Argo CD, where this process can reach it. */
  applications?: Pick<Applications, 'refresh'> | undefined;
  /** Whether the git host answers; nothing for a repository on this disk. */
  gitState?: (() => PartState[]) | undefined;
  host?: string;
  port: number;
}

export interface RunningController {
  /** Of the miner API. */
  url: string;
  link: ControllerLink;
  /** On one registry for all that runs in this process. */
  metrics: Metrics;
  /** As the miner API does it; a server that there is not is left alone. Rejects when branch main cannot be written. */
  setLocked(request: LockRequest): Promise<void>;
  /** Look at branch main soon. */
  wake(): void;
  /** Ends everything but the store and the bus. */
  stop(): Promise<void>;
}

const feedPollMs = 15_000;
const upkeepMs = 15_000;
const sweepMs = 60_000;
const pruneMs = 3_600_000;
/** How long decisions, handled events and deployments that are gone can be asked about. */
const keptMs = 30 * 24 * 3_600_000;
const settleMs = 50;
const shownDecisions = 50;

export async function startController(parts: ControllerParts): Promise<RunningController> {
  const { signer, store, repo, clock, log, busHealth, host = '127.0.0.1', port } = parts;
  const members = openMembers({ clock, log, renderBootstrap: gravalBootstrap });
  const listeners: (() => void)[] = [];
  let loop: Loop | undefined;
  const changed = () => {
    for (const listener of listeners) listener();
  };
  const main = await repo.readLastGoodMain();
  const metrics: Metrics = createMetrics({
    sources: metricSources({
      store,
      clock,
      ready: () => ready(),
      validators: () => validators,
      members,
      policy: () => look.main().config.policy,
    }),
    clock,
  });
  const bus: EventBus = {
    ...parts.bus,
    async publish(event) {
      metrics.event('received', event.type);
      await parts.bus.publish(event);
    },
  };
  const validators: Validators = openValidators({
    configs: main.config.validators,
    signer,
    clock,
    bus,
    log,
    pollMs: feedPollMs,
    onFeeds() {
      changed();
      loop?.wake();
    },
  });
  const states = createReadiness({
    store,
    bus: busHealth && { health: busHealth },
    feeds: validators.feeds,
    connected: validators.connected,
    clock,
  });
  const ready = async () => [...(await states()), ...(parts.gitState?.() ?? [])];
  const look = await createLook({
    hotkey: signer.address,
    repo,
    store,
    feeds: validators.feeds,
    observe: members.observe,
    hints: emptyHints(),
    clock,
    onBadMain: (error) => log.error(`branch main cannot be used, the last good one goes on: ${messageOf(error)}`),
  });
  const { clients } = validators;
  const nodes = createNodes({
    signer,
    config: () => look.main().config,
    validator: (hotkey) => clients.get(hotkey),
    members,
    store,
    repo,
    clock,
    log,
  });
  const guard = createGuard({ members, store, busy: nodes.busy, log });
  // A server whose GPUs changed is cordoned before anybody decides on what is seen now.
  members.onChange(() => {
    guard
      .look()
      .catch((error: unknown) => log.error(`GPUs of the servers cannot be compared: ${messageOf(error)}`))
      .finally(changed);
  });
  const stopping = new AbortController();
  const inventory = createInventory({
    members,
    nodes,
    configuredNow: async (name) => (await repo.readMain()).servers.get(name),
    fetchKubeconfig: (agentApi) => fetchKubeconfig(agentApi, signer, { clock: systemClock }),
    signal: stopping.signal,
    clock,
    log,
  });

  let serverIds: ReadonlyMap<string, string> = new Map();
  let told: PassReport = { configCommit: undefined, held: [], blocked: [], memory: emptyMemory };
  let sweepDue = 0;
  let pruneDue = 0;
  const rememberChutes = createChuteKeeper(store);
  async function upkeep(): Promise<boolean> {
    await rememberChutes(validators.feeds());
    const { world, policy } = await look.snapshot();
    serverIds = new Map(world.servers.map(({ name, serverId }) => [name, serverId]));
    inventory.reconcile(world.servers, look.main().servers, policy.removalShare);
    if (clock.now() >= sweepDue) {
      sweepDue = clock.now() + sweepMs;
      await sweepSecrets({ members, store, repo, log: (message) => log.warn(message) });
    }
    if (clock.now() >= pruneDue) {
      pruneDue = clock.now() + pruneMs;
      await store.prune(clock.now() - keptMs);
    }
    return false;
  }
  const lastSeen = createLastSeen(look.snapshot);
  async function status(): Promise<Status> {
    const { snapshot, problem } = await lastSeen();
    return statusOf({
      now: clock.now(),
      hotkey: signer.address,
      snapshot,
      decisions: await store.decisions(shownDecisions),
      held: [...(problem === undefined ? [] : [problem]), ...told.held, ...inventory.held()],
      blocked: told.blocked,
      plannedWith: told.configCommit,
      connected: validators.connected,
    });
  }

  async function dryRun(asked?: string) {
    const { world, policy } = await look.snapshot();
    const memory = told.memory as PassMemory;
    const planned = plan(world, policy, clock, systemRandom, memory, memory.advice);
    return {
      decisions: decisionsOf(planned),
      held: planned.held,
      blocked: planned.blocked.map(({ sentence }) => sentence),
      whyNot: [...world.chutes.values()]
        .filter(({ chuteId, name }) => asked === chuteId || asked === name)
        .map((chute) => ({
          chuteId: chute.chuteId,
          chuteName: chute.name,
          reasons: whyNot(chute, { world, policy, memory: planned.memory, planned, now: clock.now() }),
        })),
    };
  }

  async function worldText(): Promise<string> {
    const { world, policy } = await look.snapshot();
    return worldFileText({ now: clock.now(), policy, world, memory: told.memory as PassMemory });
  }

  function lookAgain(): void {
    loop?.wake();
    changed();
  }

  const api = createApi({
    signer,
    store,
    nodes,
    repo,
    status,
    plan: dryRun,
    world: worldText,
    observe: members.observe,
    kubeconfigs: async () => members.kubeconfigs(),
    readiness: ready,
    metrics,
    onAnswer: metrics.answer,
    onRefused: metrics.signatureFailure,
    onLimited: metrics.limited,
    async undeploy(deploymentIds: readonly string[]) {
      await store.mark('undeployAt', deploymentIds, clock.now());
      changed();
    },
    changed: lookAgain,
    log,
  });
  const url = await api.listen({ host, port }).catch(async (error: unknown) => {
    await Promise.allSettled([api.close(), validators.stop(), members.close()]);
    throw error;
  });
  // Not before it is certain that this is the miner: another process with the same options has the port.
  await nodes.takeUp();
  loop = startLoop({
    clock,
    intervalMs: upkeepMs,
    settleMs,
    pass: upkeep,
    onError: (error) => log.error({ err: error }, `upkeep failed: ${messageOf(error)}`),
  });
  log.info({ url, hotkey: signer.address }, 'controller is up');
  const launcher = createLauncher({
    validators: clients,
    store,
    members,
    clock,
    serverId: (name) => serverIds.get(name),
    onOutcome: metrics.launch,
  });
  return {
    url,
    metrics,
    async setLocked({ server, locked }) {
      await setLocked(server, locked, { repo, store });
      lookAgain();
    },
    wake: () => loop?.wake(),
    link: {
      ...launcher,
      feeds: validators.feeds,
      observe: members.observe,
      onChange: (listener) => void listeners.push(listener),
      deleteInstance: async (validator, chuteId, instanceId) =>
        clients.get(validator)?.deleteInstance(chuteId, instanceId),
      releaseJob: async (validator, jobId) => clients.get(validator)?.deleteJob(jobId),
      chute(validator, chuteId, version) {
        const client = clients.get(validator);
        return client ? client.chute(chuteId, version) : Promise.reject(new Error(`no validator ${validator}`));
      },
      refreshFeeds: validators.refresh,
      refreshApplications: (folders, commit) =>
        parts.applications?.refresh(
          folders.flatMap((path) => applicationOf(path) ?? []),
          commit,
        ),
      report(report) {
        told = report;
      },
    },
    async stop() {
      stopping.abort();
      await api.close();
      await nodes.stop();
      await loop?.stop();
      await validators.stop();
      await inventory.settled();
      await members.close();
    },
  };
}

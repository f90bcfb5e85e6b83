// The miner put together: validators, member clusters, gepetto, inventory and API around one store and one cluster repository.

import type { Logger } from 'pino';
import { createApi } from '../api/server.ts';
import { createInProcessBus } from '../bus/inprocess.ts';
import type { Chute } from '../domain/chute.ts';
import { type Clock, systemClock } from '../domain/clock.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { messageOf } from '../domain/errors.ts';
import type { ClusterRepo, MainTree, Store } from '../domain/ports.ts';
import type { Server } from '../domain/server.ts';
import { openMembers } from '../kubernetes/members.ts';
import type { Signer } from '../signing/sr25519.ts';
import { fetchKubeconfig } from '../verification/agent.ts';
import { createNodes, type Nodes } from '../verification/nodes.ts';
import { type Gepetto, startGepetto } from './gepetto.ts';
import { createInventory } from './inventory.ts';
import { createLauncher } from './launcher.ts';
import { createLook, type Hints } from './look.ts';
import { type Status, statusOf } from './status.ts';
import { openValidators, type Validators } from './validators.ts';

export interface MinerParts {
  signer: Signer;
  store: Store;
  repo: ClusterRepo;
  clock: Clock;
  log: Logger;
  port: number;
  /** Server and chute of a deployment, for whoever renders it; set before the first commit. */
  onLookup(lookup: (spec: DeploymentSpec) => { server: Server; chute: Chute } | undefined): void;
}

export interface RunningMiner {
  url: string;
  /** Ends everything but the store. */
  stop(): Promise<void>;
}

const feedPollMs = 15_000;
const shownDecisions = 50;

export async function startMiner({
  signer,
  store,
  repo,
  clock,
  log,
  port,
  onLookup,
}: MinerParts): Promise<RunningMiner> {
  const bus = createInProcessBus({ log, retryDelayMs: 500 });
  const members = openMembers({ clock, log });
  const hints: Hints = { goneChutes: new Set(), rollingInstances: new Set(), undeployRequests: new Set() };
  let gepetto: Gepetto | undefined;
  let validators: Validators | undefined;
  const feeds = () => validators?.feeds() ?? new Map();
  const look = await createLook({
    hotkey: signer.address,
    repo,
    store,
    members,
    feeds,
    hints,
    clock,
    onBadMain: (error) => log.error(`branch main cannot be used, the last good one goes on: ${messageOf(error)}`),
  });
  const { main } = look;
  onLookup((spec) => look.lookup(spec.server, spec.chuteId));
  validators = openValidators({
    configs: main().config.validators,
    signer,
    clock,
    bus,
    log,
    pollMs: feedPollMs,
    onFeeds: () => gepetto?.wake(),
  });
  const { clients } = validators;
  const nodes = createNodes({
    signer,
    config: () => main().config,
    validator: (hotkey) => clients.get(hotkey),
    members,
    store,
    repo,
    clock,
    log,
  });
  await dropHalfAdded(store, nodes, main(), (await repo.readLive()).deployments, log);
  const stopping = new AbortController();
  const inventory = createInventory({
    members,
    fetchKubeconfig: (agentApi) => fetchKubeconfig(agentApi, signer, { clock: systemClock }),
    addNode: (server) =>
      nodes.addNode(server, (message) => log.info({ server: server.name }, message), stopping.signal),
    clock,
    log: (message) => log.warn(message),
  });
  const { refresh } = validators;
  gepetto = startGepetto({
    look,
    hints,
    store,
    repo,
    members,
    bus,
    clock,
    log,
    hotkey: signer.address,
    clients,
    launcher: createLauncher({ validators: clients, store, members, clock }),
    refreshFeeds: refresh,
    onLook: ({ world }) => inventory.reconcile(world.servers, main().servers),
  });
  const running = { gepetto, validators };

  async function status(): Promise<Status | undefined> {
    const last = running.gepetto.last();
    if (!last) return undefined;
    return statusOf({
      now: clock.now(),
      hotkey: signer.address,
      snapshot: await look.snapshot(),
      decisions: await store.decisions(shownDecisions),
      held: last.result.held,
      connected: running.validators.connected,
    });
  }

  const api = createApi({
    signer,
    store,
    nodes,
    repo,
    status,
    observe: () => members.observe(),
    undeploy(deploymentIds: readonly string[]) {
      for (const deploymentId of deploymentIds) hints.undeployRequests.add(deploymentId);
      running.gepetto.wake();
    },
    changed: () => running.gepetto.wake(),
    log,
  });
  const url = await api.listen({ host: '127.0.0.1', port });
  log.info({ url, hotkey: signer.address }, 'miner is up');
  return {
    url,
    async stop() {
      stopping.abort();
      await api.close();
      await nodes.stop();
      await running.gepetto.stop();
      await running.validators.stop();
      await inventory.settled();
      await members.close();
    },
  };
}

/** A crash while a server was being added leaves a row without a file on `main`; it would block adding it again. */
async function dropHalfAdded(
  store: Store,
  nodes: Nodes,
  main: MainTree,
  live: ReadonlyMap<string, DeploymentSpec>,
  log: Logger,
): Promise<void> {
  const inUse = new Set([...live.values()].map((spec) => spec.server));
  for (const { name } of await store.servers()) {
    if (main.servers.has(name) || inUse.has(name)) continue;
    log.warn({ server: name }, 'was being added when the miner stopped; taken out again');
    await nodes.deleteNode(name).catch((error: unknown) => log.warn({ server: name }, messageOf(error)));
  }
}

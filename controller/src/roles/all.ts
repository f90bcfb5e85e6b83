// Role `all`: the whole miner in one process, for the demo, tests and trying out. PGlite, an in-process bus and a bare repository on disk;
// validators and member clusters are reached over the network as in production.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderChute } from '@miner/manifests/charts/chute.ts';
import pino, { type Logger } from 'pino';
import { createApi } from '../api/server.ts';
import { createInProcessBus } from '../bus/inprocess.ts';
import { openClusterRepo } from '../clusterrepo/clusterrepo.ts';
import { readConfigFolder } from '../clusterrepo/configfolder.ts';
import { scaledClock, systemClock } from '../domain/clock.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { MainTree, Store } from '../domain/ports.ts';
import { openMembers } from '../kubernetes/members.ts';
import { loadHotkey } from '../signing/hotkey.ts';
import { openStore } from '../store/open.ts';
import { fetchKubeconfig } from '../verification/agent.ts';
import { createNodes, type Nodes } from '../verification/nodes.ts';
import { type Gepetto, startGepetto } from './gepetto.ts';
import { createInventory } from './inventory.ts';
import { createLauncher } from './launcher.ts';
import { createLook, type Hints, type Look } from './look.ts';
import { type Status, statusOf } from './status.ts';
import { openValidators, type Validators } from './validators.ts';

export interface AllOptions {
  /** Holds `repository.git` and `db`. */
  dir: string;
  hotkeyFile: string;
  /** What a new cluster repository is made from. */
  template: string | undefined;
  port: number;
  clockSpeed: number;
  /** ms since the Unix epoch. */
  clockEpoch: number;
  log?: Logger;
}

export interface RunningMiner {
  url: string;
  stop(): Promise<void>;
}

const ownTemplate = fileURLToPath(new URL('../../../cluster-repo-template', import.meta.url));
const feedPollMs = 15_000;
const shownDecisions = 50;

/** Rejects with E-CONFIG or E-HOTKEY, before anything is started or written, when what people wrote is wrong. */
export async function runAll(options: AllOptions): Promise<RunningMiner> {
  const log = options.log ?? pino();
  const clock = scaledClock(options.clockSpeed, options.clockEpoch);
  const signer = await loadHotkey(options.hotkeyFile);
  const template = options.template ?? ownTemplate;
  const dir = join(options.dir, 'repository.git');
  if (!existsSync(dir)) await readConfigFolder(template);
  let look: Look | undefined;
  const repo = await openClusterRepo({
    dir,
    template,
    clock: systemClock,
    render: renderChute,
    lookup: (spec) => look?.lookup(spec.server, spec.chuteId),
    onBadFile: (path, problem) => log.error({ path }, `file on live: ${problem}`),
  });
  demandOwnHotkey(await repo.readMain(), signer.address);
  const store = await openStore({ dir: join(options.dir, 'db') });
  const bus = createInProcessBus({ log, retryDelayMs: 500 });
  const members = openMembers({ clock, log });
  const hints: Hints = { goneChutes: new Set(), rollingInstances: new Set(), undeployRequests: new Set() };
  let gepetto: Gepetto | undefined;
  let validators: Validators | undefined;
  const feeds = () => validators?.feeds() ?? new Map();
  look = await createLook({
    hotkey: signer.address,
    repo,
    store,
    members,
    feeds,
    hints,
    clock,
    onBadMain: (error) => log.error(`branch main cannot be used, the last good one goes on: ${messageOf(error)}`),
  });
  const main = look.main;
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
      snapshot: await (look as Look).snapshot(),
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
  const url = await api.listen({ host: '127.0.0.1', port: options.port });
  log.info({ url, hotkey: signer.address, repository: dir }, 'miner is up');
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
      await store.close();
    },
  };
}

function demandOwnHotkey(main: MainTree, address: string): void {
  if (main.config.hotkey === address) return;
  throw new MinerError(
    'E-HOTKEY',
    `miner.yaml: hotkey: found ${main.config.hotkey}, but the hotkey file is that of ${address}`,
  );
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

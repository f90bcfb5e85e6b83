// The simulated cluster: GPU servers, each a single-node Kubernetes cluster, and Argo CD. It speaks their real protocols over HTTP
// and takes the time real launches take, on the clock it is given.

import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '@miner/controller/domain/clock.ts';
import type { ProofSizes } from '../refc1.ts';
import { startApiServer } from './apiserver.ts';
import { type ApplicationStatus, startArgoCd } from './argocd.ts';
import type { BackendOf } from './bootstrap.ts';
import { openClaims } from './claims.ts';
import { defaultModelSize, type ModelSize } from './launch-times.ts';
import { createMachine, type Machine } from './machine.ts';
import type { Member } from './member.ts';
import { createLedger, type LaunchScope, type LaunchTimes, type Violation } from './record.ts';
import type { SimulatedServer } from './servers.ts';
import { type ClusterState, createStateWriter, readState, type StateWriter } from './state.ts';

export { loadModelSizes, type ModelSize } from './launch-times.ts';
export type { LaunchScope, LaunchTimes, Violation, ViolationCode } from './record.ts';
export { makeServers, type SimulatedServer } from './servers.ts';
export type { ApplicationStatus };

export interface ClusterOptions {
  servers: readonly SimulatedServer[];
  /** Path of the bare git repository that has, or will have, branch `live`. */
  repository: string;
  /** Time of everything that is simulated. */
  clock: Clock;
  /** ss58; the agents serve nobody else. */
  minerHotkey: string;
  /** The validator whose chutes run here; its address reaches the pods inside their launch tokens. */
  validator: { hotkey: string; api: string };
  modelSizes: (chuteId: string) => ModelSize | undefined;
  random: () => number;
  /** Amount of work in a GPU proof; the validator must be set to the same. Default: refc1's. */
  proofSizes?: ProofSizes;
  /** What proves the GPUs of a verification; default: refc1 at the pace of the clock. */
  backendOf?: BackendOf;
  /** Port of the Kubernetes APIs on 127.0.0.1; default: that of the state file, else any free one. */
  apiPort?: number;
  stateFile?: string;
  log?: (message: string, fields: Record<string, unknown>) => void;
}

export interface ClusterStats {
  /** Pods of all servers by state; a terminating pod counts only as that, one on a dead server as failed. */
  pods: Record<'pending' | 'running' | 'ready' | 'succeeded' | 'failed' | 'terminating', number>;
  /** Comparisons of Applications that reached their cluster. */
  syncs: number;
  /** Times in ms by deployment id. */
  deployments: Record<string, LaunchTimes>;
}

export interface SimulatedCluster {
  readonly apiPort: number;
  readonly lastSyncedCommit: string | undefined;
  /** Kubeconfig of one server, as its agent hands it out. */
  kubeconfig(name: string): string;
  /** The agent of a server: `http://<ip>:32000`. */
  agentUrl(name: string): string;
  applications(): ApplicationStatus[];
  /** Do not wait for the next look at the repository. */
  refresh(): Promise<void>;
  /** The server loses power: API, agent and ports are gone, its containers dead. */
  killNode(name: string): Promise<void>;
  /** It comes back with its objects and caches, and nothing running. */
  reviveNode(name: string): Promise<void>;
  /** The next `n` launches within the scope end with exit code 1, `afterSeconds` (default 20) after the container started. */
  failLaunches(scope: LaunchScope, n: number, afterSeconds?: number): void;
  /** Let a member forget its recent changes: watches that resume get 410. */
  compact(name: string): void;
  violations(): Violation[];
  stats(): ClusterStats;
  close(): Promise<void>;
}

function stateOfPod(status: unknown, terminating: boolean): keyof ClusterStats['pods'] {
  if (terminating) return 'terminating';
  const { phase, conditions = [] } = (status ?? {}) as {
    phase?: string;
    conditions?: { type: string; status: string }[];
  };
  if (phase === 'Succeeded') return 'succeeded';
  if (phase === 'Failed') return 'failed';
  if (phase !== 'Running') return 'pending';
  return conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True')
    ? 'ready'
    : 'running';
}

/** Starts listening on every server's address. Rejects when an address or port is taken or the state file cannot be used. */
export async function startCluster(options: ClusterOptions): Promise<SimulatedCluster> {
  const { clock, servers, stateFile } = options;
  const saved = stateFile === undefined ? undefined : readState(stateFile);
  const secret = saved?.secret ?? randomBytes(24).toString('hex');
  const tokenOf = (name: string) => createHash('sha256').update(`${secret}\0${name}`).digest('hex');
  const log = options.log ?? (() => {});
  const onError = (error: unknown) =>
    log('simulated cluster', { error: error instanceof Error ? error.message : String(error) });
  const claims = openClaims(stateFile && `${stateFile}.claims`);
  let writer: StateWriter | undefined;
  const onChange = () => writer?.changed();
  const ledger = createLedger(() => clock.now(), onChange, saved?.ledger);
  const members = new Map<string, Member>();
  const machines = new Map<string, Machine>();

  const api = await startApiServer({
    members,
    port: options.apiPort ?? saved?.apiPort ?? 0,
    tokenOf,
    logOf: ({ server }, pod) => `${machines.get(server.name)?.kubelet.record(pod)?.log.join('\n') ?? ''}\n`,
  });
  for (const server of servers) {
    const machine = createMachine(server, {
      clock,
      random: options.random,
      ledger,
      rules: { minerHotkey: options.minerHotkey, validatorHotkey: options.validator.hotkey },
      proofSizes: options.proofSizes,
      backendOf: options.backendOf,
      claims,
      sizeOf: (chuteId) => options.modelSizes(chuteId) ?? defaultModelSize(chuteId),
      access: () => ({ url: `http://127.0.0.1:${api.port}/clusters/${server.name}`, token: tokenOf(server.name) }),
      onChange,
      onError,
      saved: saved?.members[server.name],
    });
    machines.set(server.name, machine);
    members.set(server.name, machine.member);
  }

  function machineOf(name: string): Machine {
    const machine = machines.get(name);
    if (!machine) throw new Error(`no server "${name}"; known: ${[...machines.keys()].join(' ')}`);
    return machine;
  }

  async function powerOff(): Promise<void> {
    await Promise.all([...machines.values()].map((machine) => machine.stop()));
    await api.close();
  }

  const starting = [...machines.values()].filter(({ member }) => member.up).map((machine) => machine.start(false));
  const failure = (await Promise.allSettled(starting)).find(({ status }) => status === 'rejected');
  if (failure?.status === 'rejected') {
    await powerOff();
    throw failure.reason;
  }
  const argocd = startArgoCd({
    repository: options.repository,
    members,
    clock,
    ledger,
    onSynced: (commit) => {
      log('synced', { commit });
      onChange();
    },
    onError,
  });
  for (const [name, { member }] of machines) member.store.onChange((change) => argocd.handle(name, change));

  const snapshot = (): ClusterState => ({
    format: 1,
    secret,
    apiPort: api.port,
    lastSyncedCommit: argocd.lastSyncedCommit,
    ledger: ledger.snapshot(),
    members: Object.fromEntries([...machines].map(([name, machine]) => [name, machine.snapshot()])),
  });

  if (stateFile !== undefined) writer = createStateWriter(stateFile, snapshot);
  onChange();
  await argocd.refresh();

  return {
    apiPort: api.port,
    get lastSyncedCommit() {
      return argocd.lastSyncedCommit ?? saved?.lastSyncedCommit;
    },
    kubeconfig: (name) => machineOf(name).kubeconfig(),
    agentUrl: (name) => `http://${machineOf(name).member.server.ip}:32000`,
    applications: () => argocd.applications(),
    refresh: () => argocd.refresh(),
    async killNode(name) {
      const machine = machineOf(name);
      if (!machine.member.up) return;
      log('power lost', { server: name });
      machine.member.up = false;
      api.disconnect(name);
      await machine.stop();
    },
    async reviveNode(name) {
      const machine = machineOf(name);
      if (machine.member.up) return;
      await machine.start(true);
      log('power back', { server: name });
      argocd.reconnected(name);
    },
    failLaunches: (scope, n, afterSeconds = 20) => ledger.failLaunches(scope, n, afterSeconds),
    compact: (name) => machineOf(name).member.store.compact(),
    violations: () => ledger.violations(),
    stats() {
      const pods: ClusterStats['pods'] = { pending: 0, running: 0, ready: 0, succeeded: 0, failed: 0, terminating: 0 };
      for (const { member } of machines.values()) {
        for (const { status, metadata } of member.store.list('pods')) {
          pods[member.up ? stateOfPod(status, metadata.deletionTimestamp !== undefined) : 'failed'] += 1;
        }
      }
      return { pods, syncs: ledger.syncs(), deployments: ledger.launches() };
    },
    async close() {
      await argocd.close();
      // A claim must not be made twice: what was sent is waited for before the state is written.
      await Promise.all([...machines.values()].map((machine) => machine.kubelet.quiesce()));
      writer?.close();
      writer = undefined;
      await powerOff();
    },
  };
}

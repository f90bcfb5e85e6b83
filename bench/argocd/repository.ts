// The cluster repository of the figures: GPU servers with one-GPU deployments, written by the miner's own git writer to a host of smart HTTP,
// each push followed by the hint that the controller gives Argo CD.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OpenClusterRepo, openClusterRepo } from '@miner/controller/clusterrepo/clusterrepo.ts';
import { serverFileText } from '@miner/controller/clusterrepo/serverfile.ts';
import {
  config,
  deploy,
  makeServer,
  makeSpec,
  remove,
  serverName,
} from '@miner/controller/clusterrepo/testing/fixture.ts';
import { chutes, makeTestDir, optionsFor, serverConfigOf } from '@miner/controller/clusterrepo/testing/testrepo.ts';
import { systemClock } from '@miner/controller/domain/clock.ts';
import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { minerConfig } from '@miner/controller/domain/config.ts';
import type { Decision } from '@miner/controller/domain/decision.ts';
import type { DeploymentSpec } from '@miner/controller/domain/deployment.ts';
import { isAllocatableNodePort, nodePortRange } from '@miner/controller/domain/nodeport.ts';
import { withRefresh } from '@miner/controller/roles/refresh.ts';
import { renderChute } from '@miner/manifests/charts/chute.ts';
import { forkGitHost, type HostProcess } from '../githost.ts';

/** Slots of a server: eight deployments are its usual load, the others are for what comes and goes. */
export const usualSlots = 8;
const gpusPerServer = 10;

const allocatable = Array.from(
  { length: nodePortRange.last - nodePortRange.first + 1 },
  (_, i) => nodePortRange.first + i,
).filter(isAllocatableNodePort);
/** Servers that one API server has node ports for. */
export const serversPerPlane = Math.floor(allocatable.length / 2 / gpusPerServer);

export interface BenchRepository {
  config: MinerConfig;
  host: HostProcess;
  names: readonly string[];
  /** Of the plane, of `planes`, that a server's node is on. */
  planeOf(server: string): number;
  /** One-GPU deployment; servers count from 1, slots from 0. */
  specAt(server: number, slot: number): DeploymentSpec;
  /** The usual load of the first `servers` servers. */
  usualSpecs(servers: number): DeploymentSpec[];
  /** Its file. */
  manifestOf(spec: DeploymentSpec): string;
  /** One after the other. Resolves when the host has it; with the ms that it took. */
  commit(decisions: readonly Decision[]): Promise<number>;
  close(): Promise<void>;
}

export { deploy, remove };

/** Servers share `planes` API servers, so their node ports differ within each. */
export async function openRepository(
  servers: number,
  planes: number,
  hint: (folders: readonly string[], commit: string) => void,
): Promise<BenchRepository> {
  const host = await forkGitHost();
  const { dir, remove: removeDir } = makeTestDir();
  const credentialFile = join(dir, 'credential');
  writeFileSync(credentialFile, host.credential, { mode: 0o600 });
  const numbers = Array.from({ length: servers }, (_, i) => i + 1);
  for (const n of numbers) {
    const text = serverFileText(undefined, { ...serverConfigOf(n), agentApi: `http://192.0.2.1:${1024 + n}` }, 'new');
    writeFileSync(join(dir, 'template/servers', `${serverName(n)}.yaml`), text ?? '');
  }
  function lookup(spec: DeploymentSpec) {
    const [chute] = chutes;
    return chute && { server: makeServer(Number(spec.server.replace('gpu-', '')), gpusPerServer), chute };
  }

  const plain: OpenClusterRepo = await openClusterRepo({
    ...optionsFor(dir),
    dir: join(dir, 'gepetto.git'),
    clock: systemClock,
    render: renderChute,
    lookup,
    remote: { url: host.url, credentialFile, timeoutMs: 120_000 },
    onProblem: (problem) => process.stderr.write(`${problem}\n`),
  });
  const warn = (text: unknown) => void process.stderr.write(`${String(text)}\n`);
  const repo = withRefresh(plain, { refreshApplications: hint }, { warn });
  const { commit: configCommit } = await repo.readMain();
  let turn: Promise<unknown> = Promise.resolve();

  async function commitNow(decisions: readonly Decision[]): Promise<number> {
    const startedAt = performance.now();
    await repo.commitLive({ decisions, configCommit, base: (await repo.readLive()).commit });
    return performance.now() - startedAt;
  }

  function specAt(server: number, slot: number): DeploymentSpec {
    const [chute] = chutes;
    if (!chute) throw new Error('the fixture has no chute');
    const place = (Math.floor((server - 1) / planes) * gpusPerServer + slot) * 2;
    const [first = 0, second = 0] = allocatable.slice(place, place + 2);
    const spec = makeSpec({ id: server * 100 + slot, server, chute, gpus: [slot], nodePort: first });
    return { ...spec, ports: spec.ports.map((port, i) => ({ ...port, nodePort: i === 0 ? first : second })) };
  }

  return {
    config: minerConfig.parse({ ...config, git: { mode: 'external', url: host.url } }),
    host,
    names: numbers.map(serverName),
    planeOf: (server) => (Number(server.replace('gpu-', '')) - 1) % planes,
    specAt,
    usualSpecs: (servers) =>
      Array.from({ length: servers * usualSlots }, (_, i) => specAt(1 + Math.floor(i / usualSlots), i % usualSlots)),
    manifestOf(spec) {
      const found = lookup(spec);
      return found ? renderChute(spec, { config, ...found }) : '';
    },
    commit(decisions) {
      const committed = turn.then(() => commitNow(decisions));
      turn = committed.catch(() => undefined);
      return committed;
    },
    async close() {
      await plain.close();
      await host.stop();
      removeDir();
    },
  };
}

// A fleet on a git host for the benchmarks of the git writer: servers on `main`, deployments on `live`, a store of its own, real smart
// HTTP through git http-backend with basic authentication.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OpenClusterRepo, openClusterRepo } from '@miner/controller/clusterrepo/clusterrepo.ts';
import { serverFileText } from '@miner/controller/clusterrepo/serverfile.ts';
import { deploy } from '@miner/controller/clusterrepo/testing/fixture.ts';
import { makeTestDir, optionsFor, serverConfigOf, specAt } from '@miner/controller/clusterrepo/testing/testrepo.ts';
import { systemClock } from '@miner/controller/domain/clock.ts';
import type { Decision } from '@miner/controller/domain/decision.ts';
import type { LiveTree } from '@miner/controller/domain/ports.ts';
import { renderChute } from '@miner/manifests/charts/chute.ts';
import { forkGitHost, type HostProcess } from './githost.ts';
import { machine } from './machine.ts';

export interface Fleet {
  repo: OpenClusterRepo;
  host: HostProcess;
  /** Temporary folder; the store is `gepetto.git` in it. */
  dir: string;
  configCommit: string;
  /** On top of what is there now. */
  commit(decisions: readonly Decision[]): Promise<LiveTree>;
  close(): Promise<void>;
}

const perServer = 5;

/** Servers with five deployments each; slots 5 to 7 of every server are free. */
export async function makeFleet(servers: number, deployed = true): Promise<Fleet> {
  const host = await forkGitHost();
  const { dir } = makeTestDir();
  const credentialFile = join(dir, 'credential');
  writeFileSync(credentialFile, host.credential, { mode: 0o600 });
  for (let n = 1; n <= servers; n++) {
    const config = { ...serverConfigOf(n), agentApi: `http://192.0.2.1:${1024 + n}` };
    const text = serverFileText(undefined, config, 'servers/new.yaml');
    writeFileSync(join(dir, 'template/servers', `${config.name}.yaml`), text ?? '');
  }
  const repo = await openClusterRepo({
    ...optionsFor(dir),
    dir: join(dir, 'gepetto.git'),
    clock: systemClock,
    render: renderChute,
    remote: { url: host.url, credentialFile, timeoutMs: 120_000 },
    onProblem: (problem) => process.stderr.write(`${problem}\n`),
  });
  const { commit: configCommit } = await repo.readMain();
  async function commit(decisions: readonly Decision[]): Promise<LiveTree> {
    return repo.commitLive({ decisions, configCommit, base: (await repo.readLive()).commit });
  }
  const specs = Array.from({ length: servers * perServer }, (_, i) =>
    specAt(1 + Math.floor(i / perServer), i % perServer),
  );
  if (deployed) await commit(specs.map(deploy));
  return {
    repo,
    host,
    dir,
    configCommit,
    commit,
    async close() {
      await repo.close();
      await host.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export function print(name: string, value: number, unit: string, n: number): void {
  process.stdout.write(
    `${JSON.stringify({ name, value: Number(value.toPrecision(4)), unit, n, machine: machine() })}\n`,
  );
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

/** Fleet sizes named on the command line, or the usual one. */
export function sizesAsked(usual: readonly number[]): readonly number[] {
  const asked = process.argv
    .slice(2)
    .map(Number)
    .filter((size) => Number.isInteger(size) && size > 0);
  return asked.length > 0 ? asked : usual;
}

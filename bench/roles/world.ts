// The world around the roles, in a process of its own so that their figures are theirs alone: the simulated validator, GPU servers that are
// member clusters of their own, and the Argo CD that carries out `live`. It ends with the process that forked it.

import { type ChildProcess, fork } from 'node:child_process';
import { systemClock } from '@miner/controller/domain/clock.ts';
import { seededRandom } from '@miner/controller/domain/random.ts';
import { needsLaunchToken } from '@miner/controller/domain/version.ts';
import { makeServers, type SimulatedServer, startCluster } from '@miner/simulator/cluster/cluster.ts';
import { gpuIdsOf } from '@miner/simulator/cluster/servers.ts';
import { openFolder } from '@miner/simulator/demo/folder.ts';
import { refc1Backend } from '@miner/simulator/refc1-backend.ts';
import { type SimulatedValidator, startValidator } from '@miner/simulator/validator/validator.ts';
import { stringify } from 'yaml';

export const gpusPerServer = 8;
const gpuShortRef = 'h100_sxm';
const seed = 1;
/** Proofs of GPUs are the world's work, not the roles': small ones, that come at once. */
const proofSizes = { n: 64, num: 2 };
/** Models small enough that a launch takes the time of its proof and little more. */
const modelGb = 2;

export interface WorldFacts {
  hotkeyFile: string;
  /** Folder that the cluster repository is made from. */
  template: string;
  /** Text of `servers/<name>.yaml` by name. */
  servers: Record<string, string>;
}

export interface WorldStats {
  pods: number;
  claims: number;
  active: number;
  violations: number;
  /** Their codes. */
  kinds: string;
}

export interface World extends WorldFacts {
  pid: number | undefined;
  /** The market wants this many more instances, one GPU each. */
  want(count: number): Promise<void>;
  stats(): Promise<WorldStats>;
  stop(): Promise<void>;
}

type Question = { want: number } | { stats: true };

/** `repository`: the bare repository of the git host. */
export async function forkWorld(dir: string, repository: string, servers: number): Promise<World> {
  const child = fork(import.meta.filename, ['world', dir, repository, String(servers)], { execArgv: [] });
  const answer = () => answerFrom(child);
  const facts = (await answer()) as WorldFacts;
  function ask(question: Question): Promise<unknown> {
    const answered = answer();
    child.send(question);
    return answered;
  }
  return {
    ...facts,
    pid: child.pid,
    want: async (count) => void (await ask({ want: count })),
    stats: async () => (await ask({ stats: true })) as WorldStats,
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once('exit', () => resolve());
        child.disconnect();
      }),
  };
}

function answerFrom(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`the simulated world ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolve(message);
    });
  });
}

/** Eight GPUs each, with a network and a disk on which a start is short. */
function fastServers(count: number): SimulatedServer[] {
  const base = `127.${16 + (process.pid % 200)}.${process.pid % 97}`;
  return makeServers(count, seed, base).map((usual, index) => {
    const name = `gpu-${String(index + 1).padStart(4, '0')}`;
    const gpuIds = gpuIdsOf(seed, name, gpusPerServer);
    const size = { cpus: 192, memoryGiB: 2048, diskGb: 8000, cacheGb: 4000, netMbps: 100_000, diskReadGbps: 50 };
    return { ...usual, ...size, name, gpuShortRef, gpuCount: gpusPerServer, gpuIds, hourlyCost: 0.5 };
  });
}

/** Over all chutes that one such GPU can run, evenly. */
function raiseDemand(validator: SimulatedValidator, count: number): void {
  const chutes = validator
    .chutes()
    .filter((chute) => chute.gpuCount === 1 && chute.isPublic && !chute.jobOnly && !chute.disabled)
    .filter((chute) => needsLaunchToken(chute) && chute.supportedGpus.includes(gpuShortRef));
  for (const [i, { chuteId, targetCount }] of chutes.entries()) {
    const share = Math.floor(((i + 1) * count) / chutes.length) - Math.floor((i * count) / chutes.length);
    validator.setTarget(chuteId, targetCount + share);
  }
}

async function runWorld(dir: string, repository: string, count: number): Promise<void> {
  const folder = await openFolder(dir);
  const random = seededRandom(seed);
  const validator = await startValidator({
    hotkey: { ss58: folder.validator.address, seed: folder.validator.seed },
    clock: systemClock,
    registeredHotkeys: [folder.miner.address],
    allowPrivateHosts: true,
    graval: { sizes: proofSizes, timing: false },
    random,
  });
  const servers = fastServers(count);
  const cluster = await startCluster({
    servers,
    repository,
    clock: systemClock,
    minerHotkey: folder.miner.address,
    validator: { hotkey: validator.hotkey, api: validator.url },
    modelSizes: (chuteId) => ({ imageGb: modelGb, modelGb, modelKey: chuteId, warmupSeconds: 5 }),
    proofSizes,
    backendOf: (_server, devices) => refc1Backend(devices, { sizes: proofSizes }),
    random,
    log: (message, fields) => fields.error !== undefined && console.error(message, fields.error),
  });
  const socket = validator.socketUrl;
  const settings = {
    hotkey: folder.miner.address,
    validators: [{ hotkey: validator.hotkey, registry: 'registry.chutes.ai', api: validator.url, socket }],
    policy: { mode: 'active', limits: { launches: null, removals: null } },
  };
  folder.writeMinerYaml(stringify(settings));
  const files = servers.map(({ name, hourlyCost }) => {
    const agentApi = cluster.agentUrl(name);
    return [name, stringify({ name, validator: validator.hotkey, hourlyCost, gpuShortRef, agentApi })] as const;
  });
  const { hotkeyFile, template } = folder;
  process.send?.({ hotkeyFile, template, servers: Object.fromEntries(files) } satisfies WorldFacts);
  process.on('message', (question: Question) => {
    if ('want' in question) raiseDemand(validator, question.want);
    const { claims, activeInstances: active, violations } = validator.stats();
    const { ready: pods } = cluster.stats().pods;
    const broken = [...violations, ...cluster.violations()];
    const kinds = [...new Set(broken.map(({ code }) => code))].join(' ');
    if (broken.length) console.error(JSON.stringify(broken.slice(0, 6)));
    process.send?.({ pods, claims, active, violations: broken.length, kinds } satisfies WorldStats);
  });
}

const [task, dir, repository, count] = process.argv.slice(2);
if (task === 'world' && process.send && dir && repository) {
  process.once('disconnect', () => process.exit(0));
  await runWorld(dir, repository, Number(count));
}

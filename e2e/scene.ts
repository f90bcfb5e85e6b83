// What the tests of the whole product share: one fleet with one miner, words for what they want of the market and wait for, and a look at
// everything that was written down.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { needsLaunchToken } from '@miner/controller/domain/version.ts';
import type { Status } from '@miner/controller/roles/status.ts';
import type { ChuteView } from '@miner/simulator/validator/views.ts';
import type { Test } from 'uvu';
import { git } from './bootstrap.ts';
import { type Fleet, startFleet } from './cluster/fleet.ts';
import type { KubeObject } from './cluster/kube.ts';
import { waitFor } from './cluster/process.ts';
import { ensureTools } from './cluster/tools.ts';
import { type Miner, startMiner } from './miner.ts';

export interface Scene {
  dir: string;
  fleet: Fleet;
  miner: Miner;
}

export type Suite = Test<Scene>;
export type Deployment = Status['deployments'][number];

/** Long enough for a machine that others use too. */
export const patience = { ms: 120_000 };
/** Ids of the chutes that the market was made to want. */
export const wanted = new Set<string>();
/** And of those that it wants no more of. */
const sated = new Set<string>();

export interface SceneOptions {
  /** Makes the sources that render and run, in a folder of the scene. Default: those of the tests. */
  program?: (dir: string) => string;
}

export async function openScene(scene: Scene, { program }: SceneOptions = {}): Promise<void> {
  const tools = await ensureTools();
  scene.dir = mkdtempSync(join(tmpdir(), 'miner-e2e-'));
  scene.fleet = await startFleet({ dir: scene.dir, tools, tell: (line) => console.log(`  ${line}`) });
  scene.miner = await startMiner(scene.fleet, program?.(scene.dir));
}

export async function closeScene({ dir, fleet, miner }: Scene, keep: boolean): Promise<void> {
  await miner?.stop();
  await fleet?.stop();
  if (keep) console.log(`  logs are kept in ${dir}`);
  else if (dir) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}

export function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = patience.ms,
): Promise<T> {
  return waitFor(what, look, { timeoutMs, everyMs: 200 });
}

/** A public chute that suits a server and that this miner runs nothing of. */
export async function coldChute(
  { fleet, miner }: Scene,
  serverName: string,
  gpuCount = 1,
  suits: (chute: ChuteView) => boolean = () => true,
): Promise<ChuteView> {
  const { server } = fleet.server(serverName);
  const { deployments } = await miner.status();
  // The planner chooses for itself, too, before the validator knows of an instance.
  const planned = new Set(deployments.filter(({ phase }) => phase !== 'gone').map(({ chuteId }) => chuteId));
  const found = fleet.validator
    .chutes()
    .find(
      (one) =>
        one.gpuCount === gpuCount &&
        one.supportedGpus.includes(server.gpuShortRef) &&
        one.isPublic &&
        !one.jobOnly &&
        !one.disabled &&
        one.own === 0 &&
        !planned.has(one.chuteId) &&
        one.targetCount !== 0 &&
        needsLaunchToken(one) &&
        suits(one),
    );
  if (!found) throw new Error(`no chute for ${gpuCount} GPUs of ${server.gpuShortRef} is cold`);
  return found;
}

/** The market wants that many more than others run; a bounty is on the first. */
export function want({ fleet: { validator } }: Scene, chuteId: string, count: number): void {
  wanted.add(chuteId);
  sated.delete(chuteId);
  validator.setOthers(chuteId, 0);
  validator.setTarget(chuteId, count);
  validator.openBounty(chuteId);
}

/** The market wants none of ours any more, and others have them. */
export function satisfied({ fleet: { validator } }: Scene, chuteId: string): void {
  sated.add(chuteId);
  validator.setTarget(chuteId, 0);
}

/** Until the planner follows what people last pushed to `main`. */
export function untilPlanned(scene: Scene): Promise<unknown> {
  return until('the planner follows the newest main', async () => {
    const newest = git(scene.fleet.git.gitdir, 'rev-parse', 'main');
    return (await scene.miner.status()).plannedWith === newest;
  });
}

export async function deploymentsOf({ miner }: Scene, chuteId: string, phase?: string): Promise<Deployment[]> {
  const { deployments } = await miner.status();
  return deployments.filter((one) => one.chuteId === chuteId && (phase === undefined || one.phase === phase));
}

/** Until nothing runs any more of what the market is satisfied with: its end takes a while. */
export function untilQuiet(scene: Scene): Promise<unknown> {
  return until('what nobody wants any more is gone', async () => {
    const { deployments } = await scene.miner.status();
    return deployments.every(({ chuteId, phase }) => phase === 'gone' || !sated.has(chuteId));
  });
}

export function untilActive(scene: Scene, chuteId: string, count = 1): Promise<Deployment[]> {
  return until(`${count} deployments of ${chuteId} are active`, async () => {
    const active = await deploymentsOf(scene, chuteId, 'active');
    return active.length >= count && active;
  });
}

/** Paths on the git host's `live`. */
export function filesOnLive({ fleet }: Scene, folder = 'chutes'): string[] {
  return git(fleet.git.gitdir, 'ls-tree', '-r', '--name-only', 'live', folder).split('\n').filter(Boolean);
}

export async function jobOf({ fleet }: Scene, { server, deploymentId }: { server: string; deploymentId: string }) {
  return fleet.server(server).plane.kube.get('batch/v1/jobs', `chute-${deploymentId}`, 'chutes');
}

export function podsOf({ fleet }: Scene, { server, deploymentId }: { server: string; deploymentId: string }) {
  const selector = `chutes/deployment-id=${deploymentId}`;
  return fleet.server(server).plane.kube.list('v1/pods', 'chutes', selector);
}

/** Of a pod. */
export function phaseOf(pod: KubeObject | undefined): string | undefined {
  return (pod?.status as { phase?: string } | undefined)?.phase;
}

export interface Application extends KubeObject {
  status?: {
    sync?: { status?: string; revision?: string };
    health?: { status?: string };
    operationState?: { phase?: string; message?: string };
    reconciledAt?: string;
  };
}

export async function applicationOf({ fleet }: Scene, name: string): Promise<Application | undefined> {
  return (await fleet.argocd.application(name)) as Application | undefined;
}

/** Until Argo CD has applied what `live` says of this Application. */
export function untilSynced(scene: Scene, name: string): Promise<Application> {
  return until(`Application ${name} is synced`, async () => {
    const found = await applicationOf(scene, name);
    return found?.status?.sync?.status === 'Synced' && found;
  });
}

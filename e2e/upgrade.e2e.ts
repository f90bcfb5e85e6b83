// An upgrade of the whole miner while chutes run: control plane and both GPU servers go from an older commit of the program to this one.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { currentProgram, git } from './bootstrap.ts';
import type { ControlPlane } from './cluster/controlplane.ts';
import { type KubeObject, readObjects } from './cluster/kube.ts';
import { writeServerFile } from './miner.ts';
import {
  closeScene,
  coldChute,
  openScene,
  type Scene,
  until,
  untilActive,
  untilPlanned,
  untilSynced,
  want,
} from './scene.ts';
import { unpackCommit } from './sources.ts';
import { activeOn, nameOf, spentAgain } from './words.ts';

/** The state that is upgraded from; at least as young as what the scenes ask of the status. */
const olderCommit = '71691f3';
const newImage = 'chutes-miner/miner:0.2.0';

const upgrade = suite<Scene>('upgrade');

/** A checkout without history still has the upgrade of the images to try. */
function olderSources(dir: string): string {
  try {
    execFileSync('git', ['-C', currentProgram, 'cat-file', '-e', `${olderCommit}^{commit}`], { stdio: 'ignore' });
  } catch {
    console.log(`  commit ${olderCommit} is not in this checkout: only the images change`);
    return currentProgram;
  }
  return unpackCommit(olderCommit, join(dir, 'older'));
}

interface SeenPod {
  uid: string;
  images: string[];
}

/** By `cluster namespace/name`; those of Jobs that come and go by the clock are left out. */
async function podsSeen({ fleet }: Scene): Promise<Map<string, SeenPod>> {
  const seen = new Map<string, SeenPod>();
  const planes: ControlPlane[] = [fleet.control, ...fleet.servers.map(({ plane }) => plane)];
  for (const plane of planes) {
    for (const { metadata, spec } of await plane.kube.list('v1/pods')) {
      if (/^(cache-clean|audit)/.test(metadata.name)) continue;
      const { containers, initContainers = [] } = spec as Record<string, { image: string }[]>;
      const images = [...(containers ?? []), ...initContainers].map(({ image }) => image);
      seen.set(`${plane.name} ${metadata.namespace}/${metadata.name}`, { uid: metadata.uid ?? '', images });
    }
  }
  return seen;
}

function isOurs({ images }: SeenPod): boolean {
  return images.some((image) => image.startsWith('chutes-miner/'));
}

/** Parts of the rendered tree whose settings or pods are others in one commit than in the other: their pods have to be replaced. */
function changedParts({ fleet }: Scene, from: string, to: string): Set<string> {
  const { gitdir } = fleet.git;
  const paths = git(
    gitdir,
    'diff',
    '--name-only',
    '--no-renames',
    '--diff-filter=M',
    from,
    to,
    '--',
    'control',
    'members',
  )
    .split('\n')
    .filter(Boolean);
  const changed = new Set<string>();
  for (const path of paths) {
    const [before, after] = [from, to].map((commit) => readObjects(git(gitdir, 'show', `${commit}:${path}`)));
    if (JSON.stringify(before?.map(madeOf)) === JSON.stringify(after?.map(madeOf))) continue;
    for (const { metadata } of after?.filter(hasPods) ?? []) changed.add(metadata.name);
  }
  return changed;
}

function hasPods({ kind }: KubeObject): boolean {
  return /^(Deployment|DaemonSet|StatefulSet)$/.test(kind);
}

/** Without labels and annotations: a new one of them alone is no reason. */
function madeOf(object: KubeObject): unknown {
  const { template } = (object.spec ?? {}) as { template?: { spec: object } };
  return hasPods(object) ? template?.spec : object.data;
}

async function setUp(scene: Scene): Promise<void> {
  await openScene(scene, { program: olderSources });
  for (const { server } of scene.fleet.servers) {
    writeServerFile(scene.miner, server.name);
    await scene.miner.startAgent(server.name);
  }
  await until('both servers are verified', async () => {
    const { servers } = await scene.miner.status();
    return servers.length === scene.fleet.servers.length && servers.every((one) => one.gpusVerified === one.gpus);
  });
}

upgrade.before(async (scene) => {
  try {
    await setUp(scene);
  } catch (error) {
    // The runner is silent about what fails here.
    console.error(error);
    throw error;
  }
});

upgrade.after((scene) => closeScene(scene, process.env.E2E_KEEP !== undefined));

upgrade('chutes run through an upgrade of both clusters, and no pod is replaced that need not be', async (scene) => {
  const { miner, fleet } = scene;
  const running = [await activeOn(scene, nameOf(scene, 0)), await activeOn(scene, nameOf(scene, 1))];
  const [before, again] = [await podsSeen(scene), spentAgain(scene)];
  const liveBefore = git(fleet.git.gitdir, 'rev-parse', 'live');
  const isChute = (name: string) => running.some(({ deploymentId }) => name.includes(deploymentId));
  assert.is([...before.keys()].filter(isChute).length, running.length);

  miner.configure((settings) => Object.assign(settings, { images: { miner: newImage, cacheCleaner: newImage } }));
  await until('Argo CD has given the controller its new image', async () =>
    JSON.stringify(await fleet.control.kube.get('apps/v1/deployments', 'controller', 'chutes')).includes(newImage),
  );
  await miner.roll(currentProgram);
  await untilPlanned(scene);
  const members = fleet.servers.flatMap(({ server }) => [`members-${server.name}`, `chutes-${server.name}`]);
  const applications = ['argocd', 'control', ...members];
  let settledAt = 0;
  let live = '';
  await until('the new program has rendered live, and it is applied', async () => {
    for (const name of applications) await untilSynced(scene, name);
    const { liveCommit } = await miner.status();
    if (liveCommit !== live) settledAt = Date.now();
    live = liveCommit;
    return Date.now() - settledAt > 10_000;
  });

  const after = await podsSeen(scene);
  const replaced = [...before].filter(([name, { uid }]) => after.get(name)?.uid !== uid);
  const changed = [...changedParts(scene, liveBefore, live)];
  const needless = replaced
    .filter(([name, pod]) => !isOurs(pod) && !changed.some((part) => name.includes(`/${part}-`)))
    .map(([name]) => name);
  assert.equal(needless, [], 'pods of other programs');
  assert.equal(replaced.map(([name]) => name).filter(isChute), []);
  assert.ok(replaced.some(([name]) => name.startsWith('control chutes/gepetto-')));
  await until('no launch token more was spent', () => spentAgain(scene) <= again);
  const { deployments } = await miner.status();
  for (const { deploymentId, instanceId } of running) {
    const now = deployments.find((one) => one.deploymentId === deploymentId);
    assert.equal([now?.phase, now?.instanceId], ['active', instanceId]);
  }
  assert.equal(fleet.ledger.violations(), []);
});

upgrade('the upgraded program deploys, and removes what the older one deployed', async (scene) => {
  const { miner } = scene;
  const { chuteId } = await coldChute(scene, nameOf(scene, 0));
  want(scene, chuteId, 1);
  await untilActive(scene, chuteId);
  const [old] = (await miner.status()).deployments.filter((one) => one.phase === 'active' && one.chuteId !== chuteId);
  assert.ok(old);
  scene.fleet.validator.setTarget(old.chuteId, 0);
  await miner.api.delete(`/deployments/${old.deploymentId}`);
  await until('it is gone', async () => {
    const row = (await miner.status()).deployments.find((one) => one.deploymentId === old.deploymentId);
    return row === undefined || row.phase === 'gone';
  });
});

upgrade.run();

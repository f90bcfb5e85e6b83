// What people, clusters and foreign hands do to it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockLabel } from '@miner/controller/domain/lockrequest.ts';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { git, push } from '../bootstrap.ts';
import {
  applicationOf,
  coldChute,
  type Deployment,
  deploymentsOf,
  filesOnLive,
  jobOf,
  podsOf,
  type Scene,
  type Suite,
  satisfied,
  until,
  untilActive,
  untilPlanned,
  untilSynced,
  want,
} from '../scene.ts';
import { activeOn, lastMessage, nameOf, onlyFor, passAfter, spentAgain, writeServer } from '../words.ts';

/** Longer than the pauses of a planner that takes silence for loss. */
const argoAwayMs = 30_000;

const applications = 'argoproj.io/v1alpha1/applications';

function lockedOnMain({ fleet }: Scene, name: string): boolean | undefined {
  return (parse(git(fleet.git.gitdir, 'show', `main:servers/${name}.yaml`)) as { locked?: boolean }).locked;
}

export function disturbing(test: Suite): void {
  test('a Job that somebody deletes by hand takes its deployment with it, and spends no further launch token', async (scene) => {
    const deployment = await activeOn(scene, nameOf(scene, 0));
    const { chuteId, deploymentId } = deployment;
    satisfied(scene, chuteId);
    const before = spentAgain(scene);
    const { plane } = scene.fleet.server(deployment.server);
    const options = { propagationPolicy: 'Foreground' };
    await plane.kube.delete('batch/v1/jobs', `chute-${deploymentId}`, 'chutes', options);
    // Argo CD makes the Job again, and its token is spent: nothing may wait for it for ever.
    await until('the deployment has left git', () => !filesOnLive(scene).some((path) => path.includes(deploymentId)));
    await until('the Job is gone for good', async () => (await jobOf(scene, deployment)) === undefined);
    await until('no launch token more than that was spent', () => spentAgain(scene) <= before);
  });

  test('a failed Job is not made again for ever: it leaves git, and Argo CD takes it away', async (scene) => {
    const server = nameOf(scene, 0);
    const { chuteId } = await coldChute(scene, server);
    scene.fleet.ledger.failLaunches({ chuteId }, 1, 1);
    want(scene, chuteId, 1);
    const failed = await until('it has failed and left git', async () => {
      const rows = await deploymentsOf(scene, chuteId);
      return rows.find(({ deploymentId }) => /Reason: pod-failed/.test(lastMessage(scene, deploymentId)));
    });
    satisfied(scene, chuteId);
    await until('the failed Job is gone', async () => (await jobOf(scene, failed)) === undefined);
    // Background deletion: the garbage collector takes the pod after its Job.
    await until('its pod is gone', async () => (await podsOf(scene, failed)).length === 0);
  });

  test('a deploy that a person reverts on live goes, and does not come back to that server', async (scene) => {
    const [here, elsewhere] = [nameOf(scene, 0), nameOf(scene, 1)];
    const { gpuShortRef } = scene.fleet.server(elsewhere).server;
    const deployment = await activeOn(scene, here, ({ supportedGpus }) => supportedGpus.includes(gpuShortRef));
    const { chuteId, deploymentId } = deployment;
    const others = async () =>
      (await deploymentsOf(scene, chuteId)).filter((one) => one.deploymentId !== deploymentId && one.phase !== 'gone');
    // There is no other server that it could come back to, for now.
    writeServer(scene, elsewhere, { locked: true });
    await untilPlanned(scene);
    const person = scene.miner.person('live');
    const commit = git(person, 'log', '-1', '--format=%H', `--grep=Deployment-Id: ${deploymentId}`);
    git(person, 'revert', '--no-edit', commit);
    push(person, 'live');
    await until('it is known as reverted', async () =>
      (await scene.miner.status()).decisions.some(({ reason }) => reason === 'reverted'),
    );
    await until('its Job is gone', async () => (await jobOf(scene, deployment)) === undefined);
    await until('it holds its GPU no longer', async () =>
      (await deploymentsOf(scene, chuteId)).every((one) => one.deploymentId !== deploymentId || one.phase === 'gone'),
    );
    // Wanted whatever it pays: the network puts no bounty on what just went.
    scene.miner.configure((settings) => Object.assign(settings, { policy: { chutes: { [chuteId]: { minimum: 1 } } } }));
    await untilPlanned(scene);
    await passAfter(scene);
    assert.equal(await others(), []);
    writeServer(scene, elsewhere, { locked: false });
    const [back] = await untilActive(scene, chuteId);
    assert.is(back?.server, elsewhere);
    scene.miner.configure(() => undefined);
    satisfied(scene, chuteId);
  });

  test('a pause by a commit on main holds back what is new, and what runs goes on', async (scene) => {
    const { miner } = scene;
    const activeIds = async () =>
      (await miner.status()).deployments.filter(({ phase }) => phase === 'active').map((one) => one.deploymentId);
    const running = await activeIds();
    miner.configure((settings) => Object.assign(settings, { policy: { mode: 'paused' } }));
    await untilPlanned(scene);
    const { chuteId } = await coldChute(scene, nameOf(scene, 0));
    want(scene, chuteId, 1);
    await until('it is told that the pause holds it back', async () => {
      const { mode, blocked } = await miner.status();
      return mode === 'paused' && blocked.length > 0;
    });
    assert.equal(await deploymentsOf(scene, chuteId), []);
    const still = new Set(await activeIds());
    for (const id of running) assert.ok(still.has(id), id);
    miner.configure(() => undefined);
    await untilActive(scene, chuteId);
    satisfied(scene, chuteId);
  });

  test('a manifest that cannot be applied stops its own Application, and its neighbours go on', async (scene) => {
    const [bad, good] = [nameOf(scene, 0), nameOf(scene, 1)];
    const person = scene.miner.person('live');
    writeFileSync(
      join(person, 'members', bad, 'miner-gpu', 'broken.yaml'),
      'apiVersion: v1\nkind: ConfigMap\nmetadata: [not an object\n',
    );
    git(person, 'add', '--all');
    git(person, 'commit', '--quiet', '-m', 'A mistake');
    push(person, 'live');
    await until('its Application cannot be compared', async () => {
      const found = await applicationOf(scene, `members-${bad}`);
      return found?.status?.sync?.status === 'Unknown';
    });
    const active = await activeOn(scene, good);
    await untilSynced(scene, `members-${good}`);
    // Nobody has to take it back: what main does not ask for goes at the next look at the branches.
    await until('Gepetto takes the file off live', () =>
      filesOnLive(scene, 'members').every((path) => !path.endsWith('/broken.yaml')),
    );
    await untilSynced(scene, `members-${bad}`);
    satisfied(scene, active.chuteId);
  });

  test('a cordoned node keeps what runs and gets nothing new until it is uncordoned', async (scene) => {
    const name = nameOf(scene, 1);
    const running = await activeOn(scene, name);
    const { kube } = scene.fleet.server(name).plane;
    await kube.patch('v1/nodes', name, { spec: { unschedulable: true } });
    await until('it is told', async () =>
      (await scene.miner.status()).held.some((line) => line.includes(`server ${name} gets nothing new`)),
    );
    const next = await onlyFor(scene, name);
    want(scene, next.chuteId, 1);
    await passAfter(scene);
    assert.equal(await deploymentsOf(scene, next.chuteId), []);
    assert.is((await podsOf(scene, running)).length, 1);
    await kube.patch('v1/nodes', name, { spec: { unschedulable: null } });
    await untilActive(scene, next.chuteId);
    for (const { chuteId } of [running, next]) satisfied(scene, chuteId);
  });

  test('a locked server keeps what runs and gets nothing new until it is unlocked', async (scene) => {
    const name = nameOf(scene, 1);
    const running = await activeOn(scene, name);
    writeServer(scene, name, { locked: true });
    await untilPlanned(scene);
    const next = await onlyFor(scene, name);
    want(scene, next.chuteId, 1);
    await passAfter(scene);
    assert.equal(await deploymentsOf(scene, next.chuteId), []);
    assert.is((await podsOf(scene, running)).length, 1);
    writeServer(scene, name, { locked: false });
    await untilActive(scene, next.chuteId);
    for (const { chuteId } of [running, next]) satisfied(scene, chuteId);
  });

  test("a server is locked and unlocked by a button of Argo CD: the wish gets to main, and Argo CD's label goes", async (scene) => {
    const name = nameOf(scene, 1);
    const { kube } = scene.fleet.control;
    for (const [wish, locked] of [
      ['lock', true],
      ['unlock', false],
    ] as const) {
      await kube.patch(applications, `members-${name}`, { metadata: { labels: { [lockLabel]: wish } } }, 'argocd');
      await until(`${wish} is on main`, () => lockedOnMain(scene, name) === locked);
      await until(`${wish} is heeded`, async () => {
        const found = (await scene.miner.status()).servers.find((one) => one.name === name);
        return found?.locked === locked;
      });
      await until('the label is taken off', async () => {
        const { metadata } = (await applicationOf(scene, `members-${name}`)) ?? {};
        return metadata !== undefined && metadata.labels?.[lockLabel] === undefined;
      });
    }
  });

  test('a server that is dead for minutes holds nobody up, and is taken up again when it is back', async (scene) => {
    const [dead, alive] = [nameOf(scene, 1), nameOf(scene, 0)];
    const lost = await activeOn(scene, dead);
    await scene.fleet.server(dead).powerOff();
    await until('it is noticed', async () => {
      const found = (await scene.miner.status()).servers.find((one) => one.name === dead);
      return found?.health !== 'healthy';
    });
    const others: Deployment[] = [];
    for (let i = 0; i < 2; i++) {
      const { chuteId } = await coldChute(scene, alive);
      want(scene, chuteId, 1);
      const [deployment] = await untilActive(scene, chuteId);
      assert.ok(deployment);
      assert.is(deployment.server, alive);
      others.push(deployment);
    }
    assert.ok(
      filesOnLive(scene).some((path) => path.includes(lost.deploymentId)),
      'absence alone removes nothing',
    );
    await scene.fleet.server(dead).powerOn();
    await until('it is healthy again', async () => {
      const found = (await scene.miner.status()).servers.find((one) => one.name === dead);
      return found?.health === 'healthy';
    });
    // Its containers died with the power.
    await until(
      'what died with it leaves git',
      () => !filesOnLive(scene).some((path) => path.includes(lost.deploymentId)),
    );
    for (const { chuteId } of [lost, ...others]) satisfied(scene, chuteId);
  });

  test('while Argo CD is away decisions are committed, and all of them are applied when it is back', async (scene) => {
    const { chuteId } = await coldChute(scene, nameOf(scene, 0));
    await scene.fleet.argocd.kill();
    let committed: Deployment[];
    try {
      want(scene, chuteId, 2);
      committed = await until('two are committed', async () => {
        const found = await deploymentsOf(scene, chuteId, 'committed');
        return found.length === 2 && found;
      });
      await sleep(argoAwayMs);
    } finally {
      await scene.fleet.argocd.start();
    }
    const active = await untilActive(scene, chuteId, 2);
    const idsOf = (deployments: readonly Deployment[]) => deployments.map(({ deploymentId }) => deploymentId).sort();
    assert.equal(idsOf(active), idsOf(committed), 'nobody lost patience');
    satisfied(scene, chuteId);
  });
}

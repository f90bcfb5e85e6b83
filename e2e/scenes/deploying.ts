// A deployment's life: from a bounty to an active instance, more of them, a better one in its place, a new version, a job, the end.

import * as assert from 'uvu/assert';
import {
  coldChute,
  type Deployment,
  deploymentsOf,
  filesOnLive,
  jobOf,
  phaseOf,
  podsOf,
  type Scene,
  type Suite,
  satisfied,
  until,
  untilActive,
  untilPlanned,
  want,
} from '../scene.ts';
import { agedBy, lastMessage, nameOf, writeServer } from '../words.ts';

async function untilGone(scene: Scene, deployment: Deployment): Promise<void> {
  const { deploymentId } = deployment;
  await until(`${deploymentId} left git`, () => !filesOnLive(scene).some((path) => path.includes(deploymentId)));
  await until(`the Job of ${deploymentId} is gone`, async () => (await jobOf(scene, deployment)) === undefined);
  await until(`the pods of ${deploymentId} are gone`, async () => (await podsOf(scene, deployment)).length === 0);
}

export function deploying(test: Suite): void {
  test('a bounty becomes a commit, Argo CD makes the pod, the pod claims, and the instance is active', async (scene) => {
    const { chuteId } = await coldChute(scene, nameOf(scene, 0));
    want(scene, chuteId, 1);
    const [deployment] = await untilActive(scene, chuteId);
    assert.ok(deployment);
    const message = lastMessage(scene, deployment.deploymentId);
    assert.match(message, new RegExp(`Deployment-Id: ${deployment.deploymentId}`));
    assert.match(message, /Reason: (bounty|scale-up)/);
    const [pod] = await podsOf(scene, deployment);
    assert.is(phaseOf(pod), 'Running');
    const secret = `launch-${deployment.deploymentId}`;
    const { kube } = scene.fleet.server(deployment.server).plane;
    await until('the spent launch token is deleted', async () => !(await kube.get('v1/secrets', secret, 'chutes')));
    assert.equal(scene.fleet.ledger.violations(), []);
  });

  test('a chute of which more is wanted is scaled up, on other GPUs', async (scene) => {
    const { chuteId } = await coldChute(scene, nameOf(scene, 0));
    want(scene, chuteId, 3);
    const deployments = await untilActive(scene, chuteId, 3);
    const taken = await Promise.all(deployments.map((one) => podsOf(scene, one)));
    const gpus = taken.flat().map(({ metadata }) => metadata.annotations?.['chutes-miner.io/gpu-ids'] ?? '');
    assert.is(new Set(gpus).size, 3);
    assert.equal(scene.fleet.ledger.violations(), []);
  });

  test('a new version takes the place of the old one, one instance at a time', async (scene) => {
    const { chuteId } = await coldChute(scene, nameOf(scene, 0));
    want(scene, chuteId, 1);
    const [old] = await untilActive(scene, chuteId);
    assert.ok(old);
    const version = scene.fleet.validator.updateChute(chuteId);
    const [next] = await until('the new version is active', async () => {
      const found = (await deploymentsOf(scene, chuteId, 'active')).filter((one) => one.version === version);
      return found.length > 0 && found;
    });
    assert.is.not(next?.deploymentId, old.deploymentId);
    await untilGone(scene, old);
  });

  test('a deployment that a person asks to remove leaves git, and Argo CD takes its Job and pod away', async (scene) => {
    const { chuteId } = await coldChute(scene, nameOf(scene, 0));
    want(scene, chuteId, 1);
    const [deployment] = await untilActive(scene, chuteId);
    assert.ok(deployment);
    await scene.miner.api.delete(`/deployments/${deployment.deploymentId}`);
    satisfied(scene, chuteId);
    await untilGone(scene, deployment);
    assert.match(lastMessage(scene, deployment.deploymentId), /Reason: operator/);
  });

  test('a job is taken, runs, and its GPUs are free again when it is over', async (scene) => {
    const { server } = scene.fleet.server(nameOf(scene, 0));
    const worker = scene.fleet.validator
      .chutes()
      .find(
        (one) => one.jobOnly && one.gpuCount <= 2 && !one.disabled && one.supportedGpus.includes(server.gpuShortRef),
      );
    assert.ok(worker, 'the catalogue has a chute with jobs');
    const jobId = scene.fleet.validator.createJob({
      chuteId: worker.chuteId,
      computeMultiplier: 30,
      durationSeconds: 1800,
    });
    const deployment = await until('the job runs', async () => {
      const rows = await deploymentsOf(scene, worker.chuteId);
      return rows.find((one) => one.jobId === jobId && one.activatedAt !== undefined);
    });
    assert.match(lastMessage(scene, deployment.deploymentId), /Reason: job/);
    await untilGone(scene, deployment);
  });

  test('what earns clearly more takes the GPUs of what earns less, and no GPU is ever in two pods', async (scene) => {
    const [here, elsewhere] = [nameOf(scene, 0), nameOf(scene, 1)];
    writeServer(scene, elsewhere, { locked: true });
    await untilPlanned(scene);
    const { server } = scene.fleet.server(here);
    const poor = await coldChute(scene, here);
    want(scene, poor.chuteId, server.gpuCount * 2);
    await until('every GPU is taken', async () => {
      const found = (await scene.miner.status()).servers.find(({ name }) => name === here);
      return found?.gpusUsed === server.gpuCount;
    });
    await until('all are active', async () => {
      const { deployments } = await scene.miner.status();
      return deployments
        .filter((one) => one.server === here && one.phase !== 'gone')
        .every(({ phase }) => phase === 'active');
    });
    await agedBy(scene, 2 * 3_600_000);
    const rich = await coldChute(scene, here);
    scene.fleet.validator.setUrgency(rich.chuteId, 400);
    want(scene, rich.chuteId, 1);
    await untilActive(scene, rich.chuteId);
    const { decisions } = await scene.miner.status();
    assert.ok(decisions.some(({ kind, reason }) => kind === 'remove' && /preempt/.test(reason)));
    assert.equal(scene.fleet.ledger.violations(), []);
    satisfied(scene, poor.chuteId);
    satisfied(scene, rich.chuteId);
    writeServer(scene, elsewhere, { locked: false });
  });
}

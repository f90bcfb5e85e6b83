import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createNodes } from './nodes.ts';
import { answerWith, type Context, label, useScene } from './testing/context.ts';
import { mortal } from './testing/mortal.ts';
import { device, type Scene } from './testing/ports.ts';

const test = suite<Context>('crashes while a node is verified');
useScene(test);

type Outcome = 'in' | 'out' | 'mixed';

/** Whether the server is wholly in or wholly out; what is neither is a leak. */
function outcomeOf(scene: Scene): Outcome {
  const server = scene.servers.get('gpu-0');
  const rest = [scene.bootstraps.size, scene.verifications.size];
  const held = [scene.servers.size, scene.members.size, scene.repo.size, scene.advertised.size];
  if (rest.some((size) => size > 0)) return 'mixed';
  if (held.every((size) => size === 0)) return 'out';
  const verified = server?.gpus.length === 2 && server.gpus.every((gpu) => gpu.verified);
  const seeded = server?.tee || server?.seed === 9223372036854775807n;
  return held.every((size) => size === 1) && verified && seeded && server?.cordoned === undefined ? 'in' : 'mixed';
}

/** As a new process finds the world: what was only in memory is gone. */
function forgetMemory(scene: Scene): void {
  scene.members.clear();
}

async function settled(nodes: ReturnType<typeof createNodes>): Promise<void> {
  for (let i = 0; i < 10_000 && nodes.busy('gpu-0'); i++) await new Promise((resolve) => setImmediate(resolve));
  assert.not(nodes.busy('gpu-0'));
}

/** Die at one call after the other, until the whole adding lives through. Gives how often it was taken up. */
async function crashEverywhere(context: Context, expected: Outcome): Promise<number> {
  const { scene, request } = context;
  let takenUp = 0;
  for (const effect of [false, true]) {
    for (let at = 1; ; at++) {
      assert.ok(at < 100, 'it ends at some time');
      for (const kept of [scene.servers, scene.members, scene.repo, scene.verifications]) kept.clear();
      for (const kept of [scene.bootstraps, scene.advertised]) kept.clear();
      const process = mortal(scene.deps, at, effect);
      const adding = createNodes(process.deps).addNode(request, () => undefined, new AbortController().signal);
      const ended = adding.then(
        () => true,
        () => true,
      );
      if (await Promise.race([ended, process.died.then(() => false)])) break;
      forgetMemory(scene);
      const writtenDown = scene.verifications.size > 0;
      const nodes = createNodes(scene.deps);
      await nodes.takeUp();
      await settled(nodes);
      // Before anything was written down nothing was done; after all is done nothing is written down any more.
      const memberless = !writtenDown && scene.servers.size === 1;
      if (memberless) scene.members.set('gpu-0', '');
      const outcome = outcomeOf(scene);
      const where = `death ${effect ? 'after' : 'before'} call ${at}: ${scene.done.slice(-3).join(', ')}`;
      assert.is(outcome, writtenDown || memberless ? expected : 'out', where);
      if (writtenDown) takenUp += 1;
    }
  }
  return takenUp;
}

test('a process that dies at any call is followed by one that brings the server in', async (context) => {
  context.scene.verdicts = [{ status: 'verified' }];
  assert.ok((await crashEverywhere(context, 'in')) > 40);
});

test('a process that dies at any call of a failing verification is followed by one that undoes it', async (context) => {
  context.scene.verdicts = [{ status: 'failed', detail: 'wrong proof' }];
  assert.ok((await crashEverywhere(context, 'out')) > 40);
});

test('a process that dies at any call of a TEE server is followed by one that brings it in', async (context) => {
  label(context, { 'chutes/tee': 'true' });
  const { scene } = context;
  scene.deps.teeGet = async () => ({ status: 200, text: JSON.stringify([device(1), device(2)]) });
  assert.ok((await crashEverywhere(context, 'in')) > 20);
});

/** Dies while it waits for the verdict. */
async function dieWaiting(context: Context): Promise<void> {
  const { scene, request } = context;
  const { promise: died, resolve } = Promise.withResolvers<void>();
  const { deps } = mortal(scene.deps, Number.POSITIVE_INFINITY, false);
  const verdicts = scene.deps.validator(request.validator);
  assert.ok(verdicts);
  const waiting = {
    ...verdicts,
    verificationStatus: () => {
      resolve();
      return new Promise<never>(() => undefined);
    },
  };
  createNodes({ ...deps, validator: () => waiting })
    .addNode(request, () => undefined, new AbortController().signal)
    .catch(() => undefined);
  await died;
  forgetMemory(scene);
}

test('what is taken up counts as busy at once, and deleting it ends it', async (context) => {
  const { scene } = context;
  await dieWaiting(context);
  scene.verdicts = [{ status: 'pending' }];
  const nodes = createNodes(scene.deps);
  await nodes.takeUp();
  assert.ok(nodes.busy('gpu-0'));
  await nodes.deleteNode('gpu-0');
  assert.is(outcomeOf(scene), 'out');
});

test('an agent that is away for a while is waited for', async (context) => {
  const { scene, services } = context;
  await dieWaiting(context);
  const { kubeconfig } = services;
  services.kubeconfig = [503, ''];
  const nodes = createNodes(scene.deps);
  await nodes.takeUp();
  const { clock } = scene;
  const before = clock.now();
  for (let i = 0; i < 10_000 && clock.now() - before < 60_000; i++) await new Promise((r) => setImmediate(r));
  services.kubeconfig = kubeconfig;
  await settled(nodes);
  assert.is(outcomeOf(scene), 'in');
});

test('an agent that stays away is given up after half an hour: the server goes, and what cannot be reached is logged', async (context) => {
  const { scene, services } = context;
  await dieWaiting(context);
  services.kubeconfig = undefined;
  const nodes = createNodes(scene.deps);
  await nodes.takeUp();
  await settled(nodes);
  assert.equal([scene.servers.size, scene.advertised.size, scene.verifications.size], [0, 0, 0]);
});

test('a node that was set up anew meanwhile is not taken for the one that was being added', async (context) => {
  const { scene } = context;
  await dieWaiting(context);
  scene.node = { ...scene.node, uid: 'another' };
  const nodes = createNodes(scene.deps);
  await nodes.takeUp();
  await settled(nodes);
  assert.is(outcomeOf(scene), 'out');
});

test('a verification that was begun again is finished like the first one', async (context) => {
  const { scene, request } = context;
  await context.add();
  await scene.deps.store.updateServer('gpu-0', { cordoned: 'a GPU was exchanged' });
  answerWith(context, 'gpu-0', [device(1), device(3)]);
  for (const effect of [false, true]) {
    for (let at = 1; ; at++) {
      const process = mortal(scene.deps, at, effect);
      const again = createNodes(process.deps).verifyAgain(request, () => undefined, new AbortController().signal);
      if (await Promise.race([again.then(() => true), process.died.then(() => false)])) break;
      const nodes = createNodes(scene.deps);
      await nodes.takeUp();
      await settled(nodes);
      if (scene.verifications.size > 0) assert.unreachable('nothing is left to take up');
      await scene.deps.store.updateServer('gpu-0', { cordoned: 'once more' });
    }
  }
  assert.is(outcomeOf(scene), 'in');
  const server = scene.servers.get('gpu-0');
  assert.equal(
    server?.gpus.map(({ gpuId }) => gpuId),
    [device(1).uuid, device(3).uuid],
  );
});

test.run();

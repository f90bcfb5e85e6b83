import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { createGuard } from './guard.ts';
import { createNodes } from './nodes.ts';
import { answerWith, type Context, label, useScene } from './testing/context.ts';
import { device, gpuId } from './testing/ports.ts';

const test = suite<Context>('verification of a changed server');
useScene(test);

test.before.each(async (context) => {
  await context.add();
  await context.scene.deps.store.updateServer('gpu-0', { cordoned: 'the node has 1 GPUs, 2 were verified' });
  context.scene.done.length = 0;
  context.messages.length = 0;
});

async function again({ scene, request, messages }: Context): Promise<string> {
  const report = (message: string) => messages.push(message);
  return createNodes(scene.deps)
    .verifyAgain(request, report, new AbortController().signal)
    .then(
      () => 'verified',
      (error: MinerError) => `${error.code} ${error.message}`,
    );
}

test('a server that lost a GPU goes on with the rest: the validator and the store know what is there', async (context) => {
  const { scene } = context;
  scene.node = { ...scene.node, gpus: 1 };
  label(context, { 'nvidia.com/gpu.count': '1' });
  answerWith(context, 'gpu-0', [device(2)]);
  assert.is(await again(context), 'verified');
  assert.equal(scene.done, [
    'startBootstrap 30000 1 bootstrap:1',
    'updateServer gpus,verificationPort,cpuPerGpu,memoryPerGpu',
    'forgetServer node-uid 2',
    'advertiseNodes 1',
    'updateServer seed',
    'stopBootstrap',
    'markGpusVerified 1',
    'updateServer cordoned',
  ]);
  const server = scene.servers.get('gpu-0');
  assert.equal(
    server?.gpus.map((gpu) => [gpu.gpuId, gpu.verified]),
    [[gpuId(2), true]],
  );
  assert.equal([server?.cordoned, server?.memoryPerGpu, scene.verifications.size], [undefined, 79, 0]);
});

test('a label of another model than the GPUs keeps the server cordoned: it does not swing between verified and changed', async (context) => {
  const { scene } = context;
  label(context, { 'nvidia.com/gpu.product': 'NVIDIA-H200' });
  const nodes = new Map([['gpu-0', scene.node]]);
  const { store, log } = scene.deps;
  const guard = createGuard({ members: { nodes: () => nodes }, store, busy: () => false, log });
  const seen: (string | undefined)[] = [];
  for (let round = 0; round < 3; round++) {
    assert.match(await again(context), /E-GPU-REF label nvidia.com\/gpu.product is NVIDIA-H200, not h100_sxm/);
    seen.push(scene.servers.get('gpu-0')?.cordoned);
    nodes.set('gpu-0', { ...scene.node });
    await guard.look();
    seen.push(scene.servers.get('gpu-0')?.cordoned);
  }
  assert.ok(
    seen.every((reason) => /gpu.product is NVIDIA-H200/.test(reason ?? '')),
    seen.join(),
  );
});

test('a server that fails stays, cordoned with the new reason, unknown to the validator, and holds no GPU', async (context) => {
  const { scene } = context;
  scene.verdicts = [{ status: 'failed', detail: 'wrong proof' }];
  assert.match(await again(context), /^E-VERIFICATION .*wrong proof/);
  const server = scene.servers.get('gpu-0');
  assert.match(server?.cordoned ?? '', /could not be verified again: .*wrong proof/);
  assert.ok(server?.gpus.every(({ verified }) => !verified));
  assert.equal([scene.members.size, scene.repo.size], [1, 1]);
  assert.equal([scene.bootstraps.size, scene.advertised.size, scene.verifications.size], [0, 0, 0]);
  assert.match(context.messages.at(-1) ?? '', /^FAILED: E-VERIFICATION/);
});

test('GPUs that are in use are not taken from whoever uses them', async (context) => {
  const { scene } = context;
  scene.failing.set('startBootstrap', new MinerError('E-IN-USE', 'GPUs are in use'));
  assert.match(await again(context), /^E-IN-USE/);
  assert.ok(scene.advertised.has('node-uid'), 'the validator still knows what runs there');
});

test('a server that is not in the inventory is not verified again', async (context) => {
  const { scene } = context;
  scene.servers.clear();
  assert.match(await again(context), /^E-VERIFICATION .*not in the inventory/);
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { createNodes } from './nodes.ts';
import { type Context, useScene } from './testing/context.ts';

const test = suite<Context>('add and delete nodes');
useScene(test);

test('a failed add can be repeated at once', async ({ scene, add }) => {
  scene.verdicts = [{ status: 'failed', detail: 'busy' }];
  assert.match(await add(), /^E-VERIFICATION /);
  scene.verdicts = [{ status: 'verified' }];
  assert.is(await add(), 'added');
});

test('an undo that fails does not keep the others from being tried', async ({ scene, add }) => {
  scene.verdicts = [{ status: 'failed', detail: 'x' }];
  scene.failing.set('forgetServer', new MinerError('E-VALIDATOR-UNREACHABLE', 'away'));
  assert.match(await add(), /^E-VERIFICATION /);
  assert.equal([scene.servers.size, scene.members.size], [0, 0]);
});

test('two requests for one name: the second is refused and disturbs nothing', async ({ scene, request }) => {
  const nodes = createNodes(scene.deps);
  const { signal } = new AbortController();
  const [first, second] = await Promise.allSettled([
    nodes.addNode(request, () => {}, signal),
    nodes.addNode(request, () => {}, signal),
  ]);
  assert.is(first.status, 'fulfilled');
  assert.match(second.status === 'rejected' ? String(second.reason) : '', /being added/);
  assert.ok(scene.servers.has('gpu-0') && scene.members.has('gpu-0'));
});

test('a caller that goes away stops the adding, and all is undone', async ({ scene, request }) => {
  const abort = new AbortController();
  scene.verdicts = [{ status: 'pending' }];
  const messages: string[] = [];
  const progress = (message: string) => {
    messages.push(message);
    if (message.startsWith('waiting')) abort.abort();
  };
  const reason = await createNodes(scene.deps).addNode(request, progress, abort.signal).catch(String);
  assert.match(String(reason), /stopped/);
  assert.equal([scene.servers.size, scene.members.size], [0, 0]);
  assert.ok(scene.done.includes('forgetServer node-uid 2'));
});

test('deleting a server takes it out of the repository first, then everywhere else', async ({ scene, add }) => {
  await add();
  scene.done.length = 0;
  await createNodes(scene.deps).deleteNode('gpu-0');
  assert.equal(scene.done, [
    'removeServer gpu-0',
    'forgetServer node-uid 2',
    'members.remove gpu-0',
    'deleteServer gpu-0',
  ]);
  assert.equal([scene.servers.size, scene.members.size, scene.repo.size], [0, 0, 0]);
});

test('a validator that is away does not keep a server from being deleted here, but is reported', async ({
  scene,
  add,
}) => {
  await add();
  scene.failing.set('forgetServer', new MinerError('E-VALIDATOR-UNREACHABLE', 'away'));
  const reason = await createNodes(scene.deps).deleteNode('gpu-0').catch(String);
  assert.match(String(reason), /deleted, but not everywhere: validator: away/);
  assert.equal([scene.servers.size, scene.members.size, scene.repo.size], [0, 0, 0]);
});

test('a repository that refuses leaves the server as it is', async ({ scene, add }) => {
  await add();
  scene.done.length = 0;
  scene.failing.set('removeServer', new MinerError('E-GIT-CONFLICT', 'moved'));
  assert.match(String(await createNodes(scene.deps).deleteNode('gpu-0').catch(String)), /moved/);
  assert.equal(scene.done, ['removeServer gpu-0']);
});

test('deleting a server that is being added stops the adding first', async ({ scene, request }) => {
  const nodes = createNodes(scene.deps);
  scene.verdicts = [{ status: 'pending' }];
  let deleted: Promise<void> | undefined;
  const progress = (message: string) => {
    if (message.startsWith('waiting')) deleted ??= nodes.deleteNode('gpu-0');
  };
  const reason = await nodes.addNode(request, progress, new AbortController().signal).catch(String);
  assert.match(String(reason), /stopped/);
  await deleted;
  assert.equal([scene.servers.size, scene.members.size, scene.repo.size], [0, 0, 0]);
});

test('stopping waits until what was being added is undone', async ({ scene, request }) => {
  const nodes = createNodes(scene.deps);
  scene.verdicts = [{ status: 'pending' }];
  const { promise: waiting, resolve } = Promise.withResolvers<void>();
  const progress = (message: string) => {
    if (message.startsWith('waiting')) resolve();
  };
  const adding = nodes.addNode(request, progress, new AbortController().signal).catch(String);
  await waiting;
  await nodes.stop();
  assert.equal([scene.servers.size, scene.members.size], [0, 0]);
  assert.match(String(await adding), /stopped/);
});

test.run();

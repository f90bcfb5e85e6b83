import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../domain/clock.ts';
import type { MinerError } from '../domain/errors.ts';
import { createSigner } from '../signing/sr25519.ts';
import { createCommitter } from './chain.ts';
import { startNode, type TestNode } from './testing/node.ts';

const signer = createSigner(Buffer.from('e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a', 'hex'));
const first = 'ab'.repeat(32);
const second = 'cd'.repeat(32);
// The library tells on the console what it found.
console.warn = () => undefined;
console.error = () => undefined;

let node: TestNode;
test.before.each(async () => {
  node = await startNode();
});
test.after.each(() => node.close());

const committer = (timeoutMs = 60_000) => createCommitter({ endpoint: node.url, netuid: 64, signer, timeoutMs });

async function errorOf(promise: Promise<unknown>): Promise<MinerError> {
  return promise.then(
    () => assert.unreachable('it resolved') as never,
    (error) => error,
  );
}

test('a hash gets into a block as the chain reads it, signed by the hotkey', async () => {
  assert.equal(await committer().commit(first), { block: 4 });
  const [commit, ...more] = node.commits;
  assert.equal(more, []);
  assert.equal(
    { ...commit, publicKey: Buffer.from(commit?.publicKey ?? []).toString('hex') },
    {
      publicKey: Buffer.from(signer.publicKey).toString('hex'),
      nonce: 0,
      netuid: 64,
      sha256: first,
      block: 4,
    },
  );
  assert.equal([...node.unknown], []);
});

test('the newest hash is not committed again, another one is', async () => {
  await committer().commit(first);
  node.makeBlock();
  assert.equal(await committer().commit(first), { block: 4 });
  assert.equal(await committer().commit(second), { block: 6 });
  assert.equal(
    node.commits.map(({ sha256, nonce }) => [sha256, nonce]),
    [
      [first, 0],
      [second, 1],
    ],
  );
});

test('a connection lost after sending leads to one commitment, whenever its block comes', async () => {
  node.hangUpNext = true;
  const error = await errorOf(committer().commit(first));
  assert.is(error.code, 'E-CHAIN');
  assert.is(node.waiting(), 1);
  const still = await errorOf(committer().commit(first));
  assert.match(still.message, /Priority is too low/);
  node.makeBlock();
  assert.equal(await committer().commit(first), { block: 4 });
  assert.is(node.commits.length, 1);
});

test('a commitment that fails in its block is an error that names the reason', async () => {
  node.refuseNext = true;
  const error = await errorOf(committer().commit(first));
  assert.is(error.code, 'E-CHAIN');
  assert.match(error.message, /commitments\.AccountNotAllowedCommit/);
  assert.is(error.detail?.permanent, true);
  assert.equal(node.commits, []);
});

test('no block in time and no node at all are errors that may pass', async () => {
  node.automatic = false;
  const late = await errorOf(committer(3_000).commit(first));
  assert.is(late.code, 'E-CHAIN');
  assert.is(late.detail?.permanent, false);
  await node.close();
  const gone = await errorOf(committer().commit(first));
  assert.match(gone.message, /cannot be made or was lost/);
  assert.is(gone.detail?.permanent, false);
  await systemClock.sleep(0);
});

test.run();

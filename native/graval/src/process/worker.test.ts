import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GravalError, type GravalErrorCode } from '../backend.ts';
import { buildAddon } from '../build.ts';
import { openNative } from '../native.ts';
import { challengeOf, h100, params } from '../testing/samples.ts';
import { startWorker } from './worker.ts';

buildAddon();

async function codeOf(work: Promise<unknown>): Promise<GravalErrorCode | undefined> {
  const outcome = await work.catch((error: unknown) => error);
  return outcome instanceof GravalError ? outcome.code : undefined;
}

test('a backend that crashes rejects its call, and the next call finds a new process', async () => {
  const worker = startWorker();
  assert.is(await codeOf(worker.call('noSuchMethod')), 'INTERNAL');
  const before = worker.pid;
  assert.is.not(before, undefined);
  const call = worker.call('vendorDevices');
  process.kill(before as number, 'SIGSEGV');
  await codeOf(call);
  await codeOf(worker.call('noSuchMethod'));
  assert.is(worker.starts, 2);
  assert.is.not(worker.pid, before);
  await worker.close();
});

test('secrets in the environment do not reach the process that loads a foreign library', async () => {
  process.env.SECRET_SEED = 'x';
  const worker = startWorker({ environment: { GRAVAL_TEST: 'y' } });
  await codeOf(worker.call('noSuchMethod'));
  const { readFileSync } = await import('node:fs');
  const seen = readFileSync(`/proc/${worker.pid}/environ`, 'utf8').split('\0');
  assert.ok(seen.includes('GRAVAL_TEST=y'));
  assert.not.ok(seen.some((line) => line.startsWith('SECRET_SEED')));
  await worker.close();
});

const large = challengeOf(params(1024, 16_384, 200, 4, 64, 8, 4));

test('a proof that is aborted or late ends at once, and the GPU is free for the next', async () => {
  const backend = openNative({ engine: 'cpu', devices: [h100], threads: 1 });
  const ogv = backend.ogv;
  if (!ogv) throw new Error('no ogv1');
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  assert.is(await codeOf(ogv.commit(large, { signal: controller.signal, onProgress })), 'ABORTED');
  assert.is(await codeOf(ogv.commit(large, { signal: AbortSignal.abort() })), 'ABORTED');
  assert.is(await codeOf(ogv.commit(large, { deadlineMs: 1 })), 'TIMEOUT');
  const small = await ogv.commit(challengeOf(params(64, 16, 3, 1, 4, 2, 2)));
  assert.match(small.commit, /^[0-9a-f]{64}$/);
  await backend.close();
});

test('a session that nobody asks for again is discarded', async () => {
  const backend = openNative({ engine: 'cpu', devices: [h100], threads: 1, sessionMs: 1 });
  const ogv = backend.ogv;
  if (!ogv) throw new Error('no ogv1');
  const challenge = challengeOf(params(64, 16, 3, 1, 4, 2, 2));
  const { sessionId } = await ogv.commit(challenge);
  for (let tries = 0; (await codeOf(ogv.release(sessionId, '', 'p'))) === 'NOT_PROVEN'; tries++) {
    assert.ok(tries < 1000);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.is(await codeOf(ogv.release(sessionId, '', 'p')), 'BAD_INPUT');
  await backend.close();
});

test('without an NVIDIA driver CUDA says so', async () => {
  const backend = openNative({ engine: 'cuda' });
  const code = await codeOf(backend.devices());
  assert.ok(code === undefined || code === 'NO_DRIVER' || code === 'NO_DEVICE', `${code}`);
  await backend.close();
});

test.run();

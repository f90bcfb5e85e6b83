import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ask, startBootstrap } from './testing/bootstrap.ts';

const test = suite('bootstrap server under load');

/** A bootstrap whose proofs end when they are told to. */
async function startSlow(change: Parameters<typeof startBootstrap>[1] = {}) {
  const ends: (() => void)[] = [];
  let running = 0;
  let most = 0;
  const pace = async (_: number, __: number, signal: AbortSignal | undefined) => {
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => {
      ends.push(resolve);
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
    running -= 1;
  };
  const server = await startBootstrap({ pace }, change);
  const prove = (seed: number, signal?: AbortSignal) =>
    ask(`${server.url}/prove`, { body: JSON.stringify({ seed }), ...(signal && { signal }) });
  return { server, prove, ends, most: () => most, running: () => running };
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('not within 10 s');
}

async function health(statusUrl: string | undefined) {
  return (await (await fetch(`${statusUrl}/healthz`)).json()) as {
    ok: boolean;
    proofs: number;
    lastFailure: { code: string } | null;
  };
}

test('one proof runs, one waits, a third is refused, and /ping answers meanwhile', async () => {
  const { server, prove, ends, most } = await startSlow();
  const waiting = [prove(1)];
  await until(() => ends.length === 1);
  waiting.push(prove(2));
  await until(async () => (await health(server.statusUrl)).proofs === 2);
  const third = await prove(3);
  assert.equal([third.status, JSON.parse(third.text).error], [429, 'BUSY']);
  assert.is(await (await fetch(`${server.url}/ping`)).text(), 'pong');
  ends[0]?.();
  await until(() => ends.length === 2);
  ends[1]?.();
  assert.equal(
    (await Promise.all(waiting)).map(({ status }) => status),
    [200, 200],
  );
  assert.is(most(), 1);
  await server.stop();
});

test('a proof that takes too long is ended, said, and kept in /healthz', async () => {
  const { server, prove, running } = await startSlow({ proveLimitMs: 50 });
  const { status, text } = await prove(1);
  assert.equal([status, JSON.parse(text).error], [504, 'TIMEOUT']);
  assert.is(running(), 0);
  assert.is((await health(server.statusUrl)).lastFailure?.code, 'TIMEOUT');
  await server.stop();
});

test('a caller that hangs up frees the GPUs for the next', async () => {
  const { server, prove, ends, running } = await startSlow();
  const caller = new AbortController();
  const left = prove(1, caller.signal).catch(() => 'left');
  await until(() => ends.length === 1);
  caller.abort();
  assert.is(await left, 'left');
  await until(() => running() === 0);
  const next = prove(2);
  await until(() => ends.length === 2);
  ends[1]?.();
  assert.is((await next).status, 200);
  await server.stop();
});

test('stopping ends the proof that runs', async () => {
  const { server, prove, ends, running } = await startSlow();
  const left = prove(1).catch(() => 'cut');
  await until(() => ends.length === 1);
  await server.stop();
  await left;
  assert.is(running(), 0);
});

test('the figures tell backend, GPUs, outcomes and refusals', async () => {
  const server = await startBootstrap();
  await ask(`${server.url}/prove`, { body: '{"seed":1}' });
  await ask(`${server.url}/devices`, { headers: {} });
  const text = await (await fetch(`${server.statusUrl}/metrics`)).text();
  for (const line of [
    'miner_graval_gpus{backend="cpu"} 2',
    'miner_graval_seconds_count{work="prove",outcome="ok"} 1',
    'miner_graval_refused_total 1',
    'miner_graval_proofs 0',
  ])
    assert.ok(text.includes(`${line}\n`), `${line} in ${text.slice(0, 500)}`);
  assert.is((await fetch(`${server.statusUrl}/devices`)).status, 404);
  await server.stop();
});

test('a backend that fails is reported with its own code, an unexpected error with none of its inside', async () => {
  const failures: [error: Error, status: number, code: string][] = [
    [Object.assign(new Error('3 of 80 GB are free'), { code: 'VRAM_BUSY' }), 503, 'VRAM_BUSY'],
    [new Error('/secret/path'), 500, 'INTERNAL'],
  ];
  for (const [error, status, code] of failures) {
    const server = await startBootstrap({ pace: () => Promise.reject(error) });
    const answer = await ask(`${server.url}/prove`, { body: '{"seed":1}' });
    assert.equal([answer.status, JSON.parse(answer.text).error], [status, code]);
    assert.not(answer.text.includes('secret'));
    await server.stop();
  }
});

test.run();

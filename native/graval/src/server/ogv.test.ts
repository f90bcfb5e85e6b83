import { randomBytes } from 'node:crypto';
import { serviceHeaders } from '@miner/controller/signing/sign.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadAddon } from '../addon.ts';
import { type GravalBackend, GravalError, type OgvChallenge, type OgvProver } from '../backend.ts';
import { buildAddon } from '../build.ts';
import { openNative } from '../native.ts';
import { nativeMath } from '../ogv/math.ts';
import { seal } from '../ogv/release.ts';
import { ogvCommit, ogvOpening } from '../ogv/schemas.ts';
import { verifyOpening } from '../ogv/verify.ts';
import { params } from '../testing/samples.ts';
import type { RunningBootstrap } from './start.ts';
import { ask, gpus, miner, startBootstrap, stranger, validator } from './testing/bootstrap.ts';

interface Context {
  server: RunningBootstrap;
}

const test = suite<Context>('ogv1 over HTTP');
test.before(async (context) => {
  buildAddon();
  context.server = await startBootstrap({}, { backend: openNative({ engine: 'cpu', devices: gpus, threads: 1 }) });
});
test.after(({ server }) => server.stop());

const hex = () => randomBytes(32).toString('hex');

function challengeOf(device = gpus[0]?.uuid ?? '', sizes = params(64, 16, 4, 2, 4, 2, 2)): OgvChallenge {
  return { seed: 2n ** 63n - 1n, nonce: hex(), device, params: sizes };
}

/** JSON with the seed as a bare integer. */
function jsonOf(challenges: unknown[]): string {
  return JSON.stringify(challenges, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)).replace(
    /"(-?\d+)n"/g,
    '$1',
  );
}

const post = (server: RunningBootstrap, path: string, body: string) => ask(`${server.url}/ogv/${path}`, { body });

/** With a prover in the place of the CPU's. */
async function withProver(change: Partial<OgvProver>, play: (server: RunningBootstrap) => Promise<void>) {
  const none = () => Promise.reject(new Error('not asked for'));
  const ogv: OgvProver = { commit: none, audit: none, release: none, discard: async () => {}, ...change };
  const backend: GravalBackend = { kind: 'cuda', devices: async () => gpus, ogv, close: async () => {} };
  const server = await startBootstrap({}, { backend });
  try {
    await play(server);
  } finally {
    await server.stop();
  }
}

test('all GPUs commit to one request, are audited one by one, and get their texts', async ({ server }) => {
  const challenges = gpus.map(({ uuid }) => challengeOf(uuid));
  const answer = await post(server, 'commit', jsonOf(challenges));
  assert.is(answer.status, 200, answer.text);
  const commits = ogvCommit.array().parse(JSON.parse(answer.text));
  assert.is(commits.length, 2);
  for (const [at, commit] of commits.entries()) {
    const [challenge, device] = [challenges[at], gpus[at]];
    if (!challenge || !device) throw new Error('more commits than challenges');
    const queries = { auditSeed: hex(), rows: 4, walks: 2, tiles: 1, rowsPerTile: 2 };
    const { sessionId } = commit;
    const opened = await post(server, 'audit', JSON.stringify({ sessionId, queries }));
    assert.is(opened.status, 200, opened.text);
    const opening = ogvOpening.parse(JSON.parse(opened.text));
    const verdict = verifyOpening({ challenge, device, queries }, commit, opening, nativeMath(loadAddon()));
    if (!verdict.ok) throw new Error(verdict.reason);
    const sealed = seal(`for ${at}`, { ...verdict.session, purpose: 'instance' });
    const wrong = await post(server, 'release', JSON.stringify({ sessionId, sealed, purpose: 'another' }));
    assert.equal([wrong.status, JSON.parse(wrong.text).error], [422, 'BAD_INPUT']);
    const released = await post(server, 'release', JSON.stringify({ sessionId, sealed, purpose: 'instance' }));
    assert.equal([released.status, released.text], [200, `{"plaintext":"for ${at}"}`]);
    const again = await post(server, 'release', JSON.stringify({ sessionId, sealed, purpose: 'instance' }));
    assert.is(again.status, 422);
  }
});

test('what is not signed by a validator is answered with 401', async ({ server }) => {
  for (const by of [stranger, miner])
    for (const path of ['commit', 'audit', 'release'])
      assert.is((await ask(`${server.url}/ogv/${path}`, { body: '[]', by })).status, 401, path);
  assert.is((await ask(`${server.url}/ogv/progress`, { by: miner })).status, 401);
});

const good = challengeOf();
const wrong: [what: string, path: string, body: string][] = [
  ['no JSON', 'commit', 'x'],
  ['no challenge', 'commit', '[]'],
  ['more challenges than GPUs', 'commit', jsonOf([good, good, good])],
  ['two challenges for one GPU', 'commit', jsonOf([good, { ...good, nonce: hex() }])],
  ['a foreign GPU', 'commit', jsonOf([challengeOf('f'.repeat(32))])],
  ['tiles larger than the GPU', 'commit', jsonOf([challengeOf(undefined, params(2048, 16384, 65536, 1, 1, 1, 1))])],
  ['a seed of 65 bits', 'commit', jsonOf([{ ...good, seed: 2n ** 64n }])],
  ['a nonce that is none', 'commit', jsonOf([{ ...good, nonce: 'ab' }])],
  ['no session', 'audit', '{"queries":{}}'],
  ['too many rows', 'audit', JSON.stringify({ sessionId: 'a', queries: { auditSeed: hex(), rows: 1e6 } })],
  ['a release before an audit', 'release', JSON.stringify({ sessionId: 'none', sealed: 'AAAA', purpose: 'p' })],
];
for (const [what, path, body] of wrong) {
  test(`${what} is answered with 422`, async ({ server }) => {
    const { status, text } = await post(server, path, body);
    assert.equal([status, JSON.parse(text).error], [422, 'BAD_INPUT'], text);
  });
}

test('when one GPU fails the others are ended, and no session is kept', async () => {
  const kept = new Set<string>();
  const [first] = gpus;
  const ended: string[] = [];
  await withProver(
    {
      async commit({ device }, run) {
        if (device === first?.uuid) throw new GravalError('VRAM_BUSY', '3 of 80 GB are free');
        await new Promise((resolve) => run?.signal?.addEventListener('abort', resolve));
        ended.push(device);
        // Too late to be stopped: it is there, and must go.
        kept.add('late');
        return { sessionId: 'late', pkM: hex(), rootFill: hex(), rootWalk: hex(), commit: hex(), phaseMs: {} };
      },
      discard: async (id) => void kept.delete(id),
    },
    async (server) => {
      const { status, text } = await post(server, 'commit', jsonOf(gpus.map(({ uuid }) => challengeOf(uuid))));
      assert.equal([status, JSON.parse(text).error], [503, 'VRAM_BUSY']);
      assert.equal([ended, kept.size], [[gpus[1]?.uuid], 0]);
    },
  );
});

test('a second commit is refused while one runs, progress is told meanwhile, and a caller that hangs up ends it', async () => {
  const aborted = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await withProver(
    {
      async commit({ device }, run) {
        run?.onProgress?.({ uuid: device, phase: 'fill', done: 1, total: 4 });
        begun.resolve();
        await new Promise((resolve) => run?.signal?.addEventListener('abort', resolve));
        aborted.resolve();
        throw new GravalError('ABORTED', 'ended');
      },
    },
    async (server) => {
      const caller = new AbortController();
      const left = ask(`${server.url}/ogv/commit`, { body: jsonOf([challengeOf()]), signal: caller.signal }).catch(
        () => 'left',
      );
      await begun.promise;
      const second = await post(server, 'commit', jsonOf([challengeOf()]));
      assert.equal([second.status, JSON.parse(second.text).error], [429, 'BUSY']);
      const headers = serviceHeaders(validator, miner.address, { purpose: 'graval' });
      const watching = new AbortController();
      const events = await fetch(`${server.url}/ogv/progress`, { headers, signal: watching.signal });
      assert.is(events.headers.get('content-type'), 'text/event-stream');
      const chunk = await events.body?.getReader().read();
      const told = JSON.stringify({ uuid: gpus[0]?.uuid, phase: 'fill', done: 1, total: 4 });
      assert.is(new TextDecoder().decode(chunk?.value), `data: ${told}\n\n`);
      watching.abort();
      caller.abort();
      assert.is(await left, 'left');
      await aborted.promise;
    },
  );
});

test('a backend without the vendor’s protocol answers for ogv1 alone', async () => {
  await withProver({}, async (server) => {
    assert.is((await ask(`${server.url}/prove`, { body: '{"seed":1}' })).status, 404);
    assert.is((await ask(`${server.url}/devices`, { by: miner })).status, 200);
  });
});

test.run();

import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Clock, systemClock } from '../domain/clock.ts';
import { createSigner, verifySignature } from '../signing/sr25519.ts';
import { createPlacedPods } from './placed.ts';
import { createRegistryAuth, type RegistryAuthOptions } from './server.ts';

const signer = createSigner(Buffer.alloc(32, 7));
const validator = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
const other = '5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy';
const host = (hotkey: string) => `${hotkey.toLowerCase()}.localregistry.chutes.ai:30500`;
const manifest = '/v2/alice/llama/manifests/3.1';

function pod(repository: string): object {
  return { metadata: { name: repository }, spec: { containers: [{ image: `${host(validator)}/${repository}:1` }] } };
}

async function start(options: Partial<RegistryAuthOptions> = {}) {
  const placed = createPlacedPods();
  placed.put(pod('alice/llama'));
  const clock = systemClock;
  const auth = createRegistryAuth({ signer, validators: [validator, other], placed, clock, patienceMs: 0, ...options });
  await new Promise<void>((resolve) => auth.server.listen(0, '127.0.0.1', resolve));
  const { port } = auth.server.address() as AddressInfo;

  /** Sends the bytes as they are; resolves with all that came back until the connection ended. `whole`: the request itself ends it. */
  function raw(bytes: string | Buffer, whole = false): Promise<string> {
    return new Promise((resolve) => {
      let text = '';
      const socket = connect(port, '127.0.0.1', () => (whole ? socket.write(bytes) : socket.end(bytes)));
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('error', () => resolve(text));
      socket.on('close', () => resolve(text));
    });
  }

  async function ask(headers: Record<string, string>, path = '/registry/auth', method = 'GET') {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const text = await raw(`${method} ${path} HTTP/1.1\r\n${lines.join('')}Connection: close\r\n\r\n`, true);
    const [head = '', body = ''] = text.split('\r\n\r\n');
    const found = new Map(
      head
        .split('\r\n')
        .slice(1)
        .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)] as const),
    );
    return { status: Number(head.split(' ')[1]), headers: found, body };
  }

  return {
    ...auth,
    placed,
    raw,
    ask,
    async close() {
      auth.server.closeAllConnections();
      await new Promise((resolve) => auth.server.close(resolve));
    },
  };
}

type Scene = Awaited<ReturnType<typeof start>>;
const test = suite<Scene>('registry auth');
test.before.each(async (context) => {
  Object.assign(context, await start());
});
test.after.each((context) => context.close());

test('a pull of a placed image is answered with the three headers and a signature for registry pulls', async ({
  ask,
}) => {
  const answer = await ask({ Host: host(validator), 'X-Original-URI': manifest });
  assert.is(answer.status, 200);
  assert.equal(JSON.parse(answer.body), { authenticated: true });
  const [hotkey, nonce, signature] = ['hotkey', 'nonce', 'signature'].map((name) =>
    answer.headers.get(`x-chutes-${name}`),
  );
  assert.is(hotkey, signer.address);
  assert.ok(Math.abs(Number(nonce) - Date.now() / 1000) < 15);
  assert.match(signature ?? '', /^[0-9a-f]{128}$/);
  const message = `${hotkey}:${nonce}:registry`;
  assert.ok(verifySignature(Buffer.from(signature ?? '', 'hex'), message, signer.publicKey));
});

test('HEAD is answered like GET, without the body', async ({ ask }) => {
  const answer = await ask({ Host: host(validator), 'X-Original-URI': manifest }, '/registry/auth', 'HEAD');
  assert.is(answer.status, 200);
  assert.ok(answer.headers.has('x-chutes-signature'));
  assert.is(answer.body, '');
});

test('the version check needs a validator but no placed chute', async ({ ask }) => {
  assert.is((await ask({ Host: host(other), 'X-Original-URI': '/v2/' })).status, 200);
  assert.is((await ask({ Host: 'nobody.localregistry.chutes.ai', 'X-Original-URI': '/v2/' })).status, 401);
});

const refusals: [why: string, headers: Record<string, string>, path?: string, method?: string][] = [
  ['an image of no placed chute', { Host: host(validator), 'X-Original-URI': '/v2/alice/gpt/manifests/1' }],
  ['the image of another validator’s chute', { Host: host(other), 'X-Original-URI': manifest }],
  ['an unknown host', { Host: 'registry.chutes.ai', 'X-Original-URI': manifest }],
  ['no host', { 'X-Original-URI': manifest }],
  ['no original URI', { Host: host(validator) }],
  ['another route', { Host: host(validator), 'X-Original-URI': manifest }, '/registry/auth/'],
  ['another method', { Host: host(validator), 'X-Original-URI': manifest }, '/registry/auth', 'DELETE'],
  ['an upload', { Host: host(validator), 'X-Original-URI': '/v2/alice/llama/blobs/uploads/' }],
  ['an unusual expectation', { Host: host(validator), 'X-Original-URI': manifest, Expect: 'everything' }],
  [
    'a URI that climbs',
    { Host: host(validator), 'X-Original-URI': '/v2/alice/llama/manifests/../../../bob/x/manifests/1' },
  ],
];
for (const [why, headers, path, method] of refusals) {
  test(`${why} is answered with 401 and no header of ours`, async ({ ask }) => {
    const answer = await ask(headers, path, method);
    assert.is(answer.status, 401);
    assert.equal(JSON.parse(answer.body), { error: 'unauthorized', detail: 'unauthorized' });
    assert.not([...answer.headers.keys()].some((name) => name.startsWith('x-chutes')));
  });
}

test('two original URIs in one request are refused', async ({ raw }) => {
  const twice = `X-Original-URI: ${manifest}\r\n`.repeat(2);
  assert.match(await raw(`GET /registry/auth HTTP/1.1\r\nHost: ${host(validator)}\r\n${twice}\r\n`), /^HTTP\/1.1 401 /);
});

test('bytes that are no HTTP are answered with 4xx or nothing, and the server goes on', async ({ raw, ask }) => {
  const token = fc.constantFrom(
    'GET ',
    '/registry/auth',
    ' HTTP/1.1\r\n',
    'Host: ',
    host(validator),
    '\r\n',
    'X-Original-URI: ',
    manifest,
    '\0',
    ': ',
    'Transfer-Encoding: chunked\r\n',
    'Content-Length: -1\r\n',
    '\r\n\r\n',
  );
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((values) => Buffer.from(values)),
    fc.array(fc.oneof(token, fc.string()), { maxLength: 12 }).map((parts) => Buffer.from(parts.join(''))),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (sent) => {
      for (const [, status] of (await raw(sent)).matchAll(/^HTTP\/1\.1 (\d)/gm))
        assert.ok(status === '4' || status === '2');
    }),
    { numRuns: 150 },
  );
  assert.is((await ask({ Host: host(validator), 'X-Original-URI': manifest })).status, 200);
});

test('answers are counted by their reason', async ({ ask, raw, counts }) => {
  await ask({ Host: host(validator), 'X-Original-URI': manifest });
  await ask({ Host: host(validator), 'X-Original-URI': '/v2/a/b/manifests/1' });
  await ask({ Host: 'x', 'X-Original-URI': manifest });
  await raw('nonsense\r\n\r\n');
  assert.equal(counts, { granted: 1, refused_caller: 0, refused_host: 1, refused_image: 1, malformed: 1 });
});

test.run();

const waits = suite('a pull before its pod is known');
const asked = { Host: host(validator), 'X-Original-URI': '/v2/bob/gpt/manifests/1' };

/** Time stands still until `expire`. */
function patience() {
  const calls: { ms: number; expire: () => void }[] = [];
  const clock: Clock = {
    now: () => Date.now(),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        calls.push({ ms, expire: resolve });
        signal?.addEventListener('abort', () => resolve());
      }),
  };
  return { clock, calls };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await systemClock.sleep(2);
}

waits('is granted as soon as the pod appears', async () => {
  const { clock, calls } = patience();
  const scene = await start({ clock, patienceMs: 2_000 });
  const answer = scene.ask(asked);
  await until(() => calls.length === 1);
  scene.placed.put(pod('carol/other'));
  scene.placed.put(pod('bob/gpt'));
  assert.is((await answer).status, 200);
  assert.is(calls[0]?.ms, 2_000);
  await scene.close();
});

waits('is refused when no pod appears in time', async () => {
  const { clock, calls } = patience();
  const scene = await start({ clock, patienceMs: 2_000 });
  const answer = scene.ask(asked);
  await until(() => calls.length === 1);
  calls[0]?.expire();
  assert.is((await answer).status, 401);
  await scene.close();
});

waits('is refused at once when many wait already, and room is made by answers', async () => {
  const { clock, calls } = patience();
  const scene = await start({ clock, patienceMs: 2_000 });
  const held = Array.from({ length: 128 }, () => scene.ask(asked));
  await until(() => calls.length === 128);
  assert.is((await scene.ask(asked)).status, 401);
  for (const { expire } of calls) expire();
  await Promise.all(held);
  const next = scene.ask(asked);
  await until(() => calls.length === 129);
  scene.placed.put(pod('bob/gpt'));
  assert.is((await next).status, 200);
  await scene.close();
});

waits.run();

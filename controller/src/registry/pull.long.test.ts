// Pulls as the kubelet makes them: Debian's nginx with our configuration, the role `registry-auth` as a process, a simulated member
// cluster, and for each validator a real OCI registry behind checks made with a Python key library.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { registryProxyConfig } from '@miner/manifests/registry/proxy.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startTestCluster, type TestCluster, until } from '../kubernetes/testcluster.ts';
import { validatorHeaders } from '../signing/sign.ts';
import { createSigner } from '../signing/sr25519.ts';
import { type NameServer, startNameServer } from './testing/dns.ts';
import { startNginx } from './testing/nginx.ts';
import { digestOf, manifestType, type PushedImage, pushImage, startOciRegistry } from './testing/oci.ts';
import { freePort, type RunningProcess, startProcess } from './testing/processes.ts';
import { startValidatorRegistry, type ValidatorRegistry } from './testing/validator-registry.ts';

const limitMs = 30_000;
const soon = (what: string, holds: () => boolean) => until(what, holds, limitMs);

const seed = '07'.repeat(32);
const signer = createSigner(Buffer.from(seed, 'hex'));
const validators = {
  a: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
  b: '5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ',
  untrusted: '5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy',
};
type Validator = keyof typeof validators;
const names = Object.keys(validators) as Validator[];
const hostOf = (validator: Validator) => `${validators[validator].toLowerCase()}.localregistry.chutes.ai:30500`;

const dir = mkdtempSync(join(tmpdir(), 'registry-pull-'));
const ends: (() => unknown)[] = [];
const images = {} as Record<Validator, PushedImage>;
const fronts = {} as Record<Validator, ValidatorRegistry>;
let cluster: TestCluster;
let dns: NameServer;
let auth: RunningProcess<string>;
let nginx: RunningProcess<unknown>;
let port: number;
let node = '';

function startAuth(): Promise<RunningProcess<string>> {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const options = {
    hotkey: join(dir, 'hotkey'),
    config: join(dir, 'miner.yaml'),
    kubeconfig: join(dir, 'kubeconfig'),
    node,
    port: '0',
    'status-port': '0',
  };
  writeFileSync(options.hotkey, JSON.stringify({ ss58Address: signer.address, secretSeed: `0x${seed}` }));
  writeFileSync(options.kubeconfig, cluster.kubeconfig(node));
  const entries = names.map((name) => ({
    hotkey: validators[name],
    registry: fronts[name].address,
    api: 'https://api.test',
    socket: 'wss://ws.test',
  }));
  writeFileSync(options.config, JSON.stringify({ hotkey: signer.address, validators: entries }));
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  return startProcess(process.execPath, [main, 'registry-auth', ...args], (line) => {
    return /"url":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(line)?.[1];
  });
}

test.before(async () => {
  cluster = await startTestCluster();
  ends.push(() => cluster.close());
  node = cluster.names[0] ?? '';
  dns = await startNameServer();
  ends.push(() => dns.close());
  for (const name of names) {
    const registry = await startOciRegistry(join(dir, name));
    ends.push(registry.stop);
    // The same name everywhere, with other content.
    images[name] = await pushImage(registry.url, 'alice/llama', '3.1', 3_000_000);
    fronts[name] = await startValidatorRegistry(
      join(dir, name),
      `registry-${name}.test`,
      signer.address,
      registry.value,
    );
    ends.push(fronts[name].stop);
  }
  auth = await startAuth();
  ends.push(() => auth.stop());
  port = await freePort();
  const trusted = join(dir, 'trusted.pem');
  writeFileSync(trusted, readFileSync(fronts.a.ca, 'utf8') + readFileSync(fronts.b.ca, 'utf8'));
  const config = registryProxyConfig({
    validators: names.map((name) => ({ hotkey: validators[name], registry: fronts[name].address })),
    listenAddress: '127.0.0.1',
    listenPort: port,
    authPort: Number(auth.value),
    upstream: 'single',
    resolvers: [`127.0.0.1:${dns.port}`],
    trustedCertificates: trusted,
    runDir: join(dir, 'nginx'),
    accessLog: join(dir, 'nginx', 'access.log'),
  });
  nginx = await startNginx(join(dir, 'nginx'), config, port);
  ends.push(() => nginx.stop());
  for (const name of names) place(`${name}-llama`, name, 'alice/llama');
});

test.after(async () => {
  for (const end of ends.reverse()) await end();
  rmSync(dir, { recursive: true });
});

function place(pod: string, validator: Validator, repository: string): void {
  cluster.member(node).create('pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod, labels: { 'chutes/chute': 'true' } },
    spec: { nodeName: node, containers: [{ name: 'chute', image: `${hostOf(validator)}/${repository}:3.1` }] },
  });
}

interface Answer {
  status: number;
  type: string | undefined;
  range: string | undefined;
  body: Buffer;
}

function send(path: string, host: string, method = 'GET', headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path, method, headers: { Host: host, ...headers }, agent: false };
    request(options, async (answer) => {
      const chunks: Buffer[] = [];
      for await (const chunk of answer) chunks.push(chunk);
      const range = answer.headers['content-range'];
      resolve({
        status: answer.statusCode ?? 0,
        type: answer.headers['content-type'],
        range,
        body: Buffer.concat(chunks),
      });
    })
      .on('error', reject)
      .end();
  });
}

const llama = '/v2/alice/llama/manifests/3.1';
const asked = () => names.map((name) => fronts[name].requests().length);

for (const validator of ['a', 'b'] as const) {
  test(`an image of a chute of validator ${validator} is pulled from that validator's registry, signed and intact`, async () => {
    const { manifest, config, layer } = images[validator];
    const before = asked();
    assert.is((await send('/v2/', hostOf(validator))).status, 200);
    const first = await send(llama, hostOf(validator), 'GET', {
      accept: manifestType,
      authorization: 'Basic c2VjcmV0',
    });
    assert.is(first.status, 200);
    assert.is(first.type, manifestType);
    assert.is(digestOf(first.body), digestOf(manifest));
    for (const { digest } of [JSON.parse(first.body.toString()).config, ...JSON.parse(first.body.toString()).layers]) {
      const blob = await send(`/v2/alice/llama/blobs/${digest}`, hostOf(validator));
      assert.is(blob.status, 200);
      assert.is(digestOf(blob.body), digest);
    }
    assert.equal([config, layer].map(digestOf), [
      JSON.parse(first.body.toString()).config.digest,
      JSON.parse(first.body.toString()).layers[0].digest,
    ]);
    await soon('all told', () => asked()[names.indexOf(validator)] === (before[names.indexOf(validator)] ?? 0) + 4);
    for (const seen of fronts[validator].requests().slice(-4)) {
      assert.is(seen.status, 200, seen.why ?? '');
      assert.is(seen.sni, `registry-${validator}.test`);
      assert.is(seen.host, fronts[validator].address);
      assert.not(seen.headers.includes('authorization'), 'what a pod sends is not passed on');
    }
    const others = names.filter((name) => name !== validator).map((name) => names.indexOf(name));
    for (const i of others) assert.is(asked()[i], before[i], 'nobody else was asked');
  });
}

test('HEAD and ranges are passed on', async () => {
  const head = await send(llama, hostOf('a'), 'HEAD', { accept: manifestType });
  assert.is(head.status, 200);
  assert.is(head.body.length, 0);
  const part = await send(`/v2/alice/llama/blobs/${digestOf(images.a.layer)}`, hostOf('a'), 'GET', {
    range: 'bytes=5-9',
  });
  assert.is(part.status, 206);
  assert.is(part.range, 'bytes 5-9/3000000');
  assert.equal(part.body, images.a.layer.subarray(5, 10));
});

test('the case of the host and its port do not matter', async () => {
  for (const host of [
    hostOf('b').toUpperCase(),
    hostOf('b').replace(':30500', ''),
    hostOf('b').replace('30500', '80'),
  ]) {
    const answer = await send(llama, host, 'GET', { accept: manifestType });
    assert.is(digestOf(answer.body), digestOf(images.b.manifest));
  }
});

const refusals: [why: string, status: number, path: string, host: string, method?: string][] = [
  ['an image without a placed chute', 401, '/v2/alice/gpt/manifests/1', hostOf('a')],
  ['a path that climbs', 401, '/v2/alice/llama/manifests/../../gpt/manifests/1', hostOf('a')],
  ['an encoded path', 401, '/v2/alice/ll%61ma/manifests/3.1', hostOf('a')],
  ['the catalogue', 401, '/v2/_catalog', hostOf('a')],
  ['an unknown validator', 404, llama, 'nobody.localregistry.chutes.ai:30500'],
  ['the name of the registry itself', 404, llama, 'registry-a.test'],
  ['an upload', 403, '/v2/alice/llama/blobs/uploads/', hostOf('a'), 'POST'],
  ['a new manifest', 403, llama, hostOf('a'), 'PUT'],
  ['a change', 403, llama, hostOf('a'), 'PATCH'],
  ['a removal', 403, llama, hostOf('a'), 'DELETE'],
  ['another path', 403, '/', hostOf('a')],
  ['the question for a signature', 404, '/registry/auth', hostOf('a')],
];
for (const [why, status, path, host, method] of refusals) {
  test(`${why} is answered with ${status} and no registry hears of it`, async () => {
    const before = asked();
    const answer = await send(path, host, method);
    assert.is(answer.status, status);
    assert.equal(asked(), before);
  });
}

test('an image may be pulled from when its chute is placed until its pod is gone, for its validator only', async () => {
  const path = '/v2/bob/whisper/manifests/1';
  assert.is((await send(path, hostOf('a'))).status, 401);
  const early = send(path, hostOf('a'));
  place('whisper', 'a', 'bob/whisper');
  // The registry has no such image, so it is asked when it answers 404.
  assert.is((await early).status, 404, 'a pull that is a little early waits for its pod');
  assert.is((await send(path, hostOf('b'))).status, 401);
  cluster.member(node).remove('pods', 'whisper', { gracePeriodSeconds: 0 });
  for (let left = 50; (await send(path, hostOf('a'))).status !== 401; left--) assert.ok(left > 0, 'still allowed');
});

/** Straight to the validator's registry, past nginx. */
function direct(headers: Record<string, string>): Promise<number> {
  const [name = '', frontPort = ''] = fronts.a.address.split(':');
  const ca = readFileSync(fronts.a.ca);
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: frontPort, servername: name, ca, path: '/v2/', headers, agent: false };
    secureRequest(options, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

test('the Python library takes our signature, and none that is changed, old, for another purpose or of another key', async () => {
  const at = (seconds: number) => ({ now: () => Date.now() + seconds * 1000 });
  const good = validatorHeaders(signer, { purpose: 'registry' }, at(0));
  const signature = good['X-Chutes-Signature'] ?? '';
  const changed = signature.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
  const stranger = createSigner(Buffer.alloc(32, 9));
  const cases: [headers: Record<string, string>, status: number][] = [
    [good, 200],
    [validatorHeaders(signer, { purpose: 'registry' }, at(-590)), 200],
    [validatorHeaders(signer, { purpose: 'registry' }, at(-601)), 401],
    [validatorHeaders(signer, { purpose: 'miner' }, at(0)), 401],
    [validatorHeaders(stranger, { purpose: 'registry' }, at(0)), 401],
    [{ ...good, 'X-Chutes-Signature': changed }, 401],
    [{ ...good, 'X-Chutes-Nonce': String(Number(good['X-Chutes-Nonce']) + 1) }, 401],
    [{ ...good, 'X-Chutes-Hotkey': stranger.address }, 401],
    [{}, 401],
  ];
  for (const [headers, status] of cases) assert.is(await direct(headers), status, JSON.stringify(headers));
});

test('a registry whose certificate is not trusted gets no signature', async () => {
  assert.is((await send(llama, hostOf('untrusted'))).status, 502);
  assert.equal(fronts.untrusted.requests(), []);
});

test('while registry auth is away pulls are answered with 401', async () => {
  await auth.stop();
  const before = asked();
  assert.is((await send(llama, hostOf('a'))).status, 401);
  assert.equal(asked(), before);
});

test('no signature, no query and no seed is in any log', () => {
  const logs = [readFileSync(join(dir, 'nginx', 'access.log'), 'utf8'), ...nginx.lines, ...auth.lines].join('\n');
  assert.match(logs, /"GET \/v2\/alice\/llama\/manifests\/3.1" 200/);
  assert.not.match(logs, /[0-9a-f]{128}/);
  assert.not(logs.includes(seed));
  assert.not(logs.includes('c2VjcmV0'));
});

test.run();

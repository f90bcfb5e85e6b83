// `images list`, `pin` and `check` against real registries (Debian's docker-registry): open, with a login, and with tokens.

import { execFileSync } from 'node:child_process';
import { createPrivateKey, createSign } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, type OciRegistry, pushImage, startOciRegistry } from '@miner/controller/registry/testing/oci.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { digestNow, placeOf } from './images/digest.ts';
import { call } from './testing/run.ts';

const dir = mkdtempSync(join(tmpdir(), 'images-'));
const login = Buffer.from('miner:secret').toString('base64');
const ends: (() => unknown)[] = [];
let open: OciRegistry;
let digest = '';
let folder = 0;

/** A cluster repository with these lines in images.yaml; everything else is as the template has it. */
function repository(images: string): string {
  const repo = join(dir, `repo-${folder++}`);
  mkdirSync(repo);
  const template = new URL('../../cluster-repo-template/miner.yaml', import.meta.url);
  writeFileSync(join(repo, 'miner.yaml'), readFileSync(template));
  writeFileSync(join(repo, 'images.yaml'), images);
  return repo;
}

const hostOf = (registry: OciRegistry) => new URL(registry.url).host;
const signal = AbortSignal.timeout(60_000);
const env = { DOCKER_CONFIG: dir };

test.before(async () => {
  open = await startOciRegistry(join(dir, 'open'));
  ends.push(() => open.stop());
  digest = digestOf((await pushImage(open.url, 'parts/database', '1', 100)).manifest);
});
test.after(async () => {
  for (const end of ends.reverse()) await end();
  rmSync(dir, { recursive: true, force: true });
});

test('pin writes the digest behind the tag, keeps what people wrote, and says nothing the second time', async () => {
  const image = `${hostOf(open)}/parts/database:1`;
  const repo = repository(`# ours\npostgres: ${image} # of the control plane\nredis: ${image}\n`);
  const first = await call(['images', 'pin', 'postgres', '--repo', repo], { env });
  assert.is(first.code, 0, first.stderr);
  const text = `# ours\npostgres: ${image}@${digest} # of the control plane\nredis: ${image}\n`;
  assert.is(readFileSync(join(repo, 'images.yaml'), 'utf8'), text);
  const second = await call(['images', 'pin', 'postgres', '--repo', repo], { env });
  assert.equal([second.code, second.stdout], [0, '']);
  const listed = JSON.parse((await call(['images', 'list', '--repo', repo, '-o', 'json'], { env })).stdout);
  const shown = Object.fromEntries(listed.map((one: { name: string; pinned: boolean }) => [one.name, one.pinned]));
  assert.equal([shown.postgres, shown.redis, listed.length], [true, false, 12]);
});

test('a tag that has moved is found by check, and pinned anew by pin', async () => {
  const moving = 'parts/moving';
  const before = digestOf((await pushImage(open.url, moving, '1', 100)).manifest);
  const image = `${hostOf(open)}/${moving}:1`;
  assert.is(await digestNow(image, { signal }), before);
  const after = digestOf((await pushImage(open.url, moving, '1', 100)).manifest);
  const all = ['miner', 'cacheCleaner', 'gravalBootstrap', 'postgres', 'redis', 'gitServer', 'nginx', 'prometheus'];
  const names = [...all, 'grafana', 'kubeStateMetrics', 'dcgmExporter', 'nodeExporter'];
  const repo = repository(names.map((name) => `${name}: ${image}@${before}\n`).join(''));
  const moved = await call(['images', 'check', '--repo', repo, '-o', 'json'], { env });
  assert.is(moved.code, 3, moved.stderr);
  assert.ok(JSON.parse(moved.stdout).every((one: { state: string }) => one.state === 'moved'));
  assert.is((await call(['images', 'pin', '--repo', repo], { env })).code, 0);
  assert.ok(readFileSync(join(repo, 'images.yaml'), 'utf8').includes(`redis: ${image}@${after}\n`));
  assert.is((await call(['images', 'check', '--repo', repo], { env })).code, 0);
});

test('what a registry does not know is named; an image that nobody has is a mistake', async () => {
  const image = `${hostOf(open)}/parts/database`;
  const repo = repository(`postgres: ${image}:2\n`);
  const unknown = await call(['images', 'pin', 'postgres', '--repo', repo], { env });
  assert.is(unknown.code, 7);
  assert.match(unknown.stderr, /postgres: .*parts\/database:2: the registry does not know it/);
  assert.is(readFileSync(join(repo, 'images.yaml'), 'utf8'), `postgres: ${image}:2\n`);
  const wrong = await call(['images', 'pin', 'postgress', '--repo', repo], { env });
  assert.is(wrong.code, 2);
  assert.match(wrong.stderr, /no image is named postgress, allowed: miner, /);
  const rejects = async (what: string) => digestNow(what, { signal }).then(() => '', String);
  assert.match(await rejects('127.0.0.1:1/a:1'), /127\.0\.0\.1:1 does not answer/);
});

test('a registry with a login takes that of docker login, and is named without one', async () => {
  const asked: (string | undefined)[] = [];
  const manifest = Buffer.from('{}');
  const basic = createServer((request, answer) => {
    asked.push(request.headers.authorization);
    if (request.headers.authorization !== `Basic ${login}`)
      return answer.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    return answer.end(manifest);
  });
  await new Promise<void>((done) => basic.listen(0, '127.0.0.1', done));
  ends.push(() => basic.close());
  const host = `127.0.0.1:${(basic.address() as AddressInfo).port}`;
  assert.is(await digestNow(`${host}/a:1`, { signal, logins: new Map([[host, login]]) }), digestOf(manifest));
  assert.match(await digestNow(`${host}/a:1`, { signal }).then(() => '', String), /asks for a login/);
  assert.equal(asked, [undefined, `Basic ${login}`, undefined]);
});

test('a registry with tokens is asked with one for this repository, fetched with the login', async () => {
  const key = join(dir, 'key.pem');
  const cert = join(dir, 'cert.pem');
  const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2'];
  execFileSync('openssl', [...made, '-subj', '/CN=tokens'], { stdio: 'ignore' });
  const der = readFileSync(cert, 'utf8').replace(/-----[A-Z ]+-----|\n/g, '');
  const asked: { scope: string | null; login: string | undefined }[] = [];
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const tokens = createServer((request, answer) => {
    const { searchParams } = new URL(request.url ?? '', 'http://x');
    const scope = searchParams.get('scope');
    asked.push({ scope, login: request.headers.authorization });
    const [, name, actions] = scope?.split(':') ?? [];
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'tokens',
      aud: searchParams.get('service'),
      sub: '',
      nbf: now - 60,
      iat: now,
      exp: now + 300,
    };
    const access = [{ type: 'repository', name, actions: actions?.split(',') }];
    const body = `${part({ typ: 'JWT', alg: 'RS256', x5c: [der] })}.${part({ ...claims, jti: 'x', access })}`;
    const signature = createSign('sha256')
      .update(body)
      .sign(createPrivateKey(readFileSync(key)), 'base64url');
    answer.setHeader('content-type', 'application/json').end(JSON.stringify({ token: `${body}.${signature}` }));
  });
  await new Promise<void>((done) => tokens.listen(0, '127.0.0.1', done));
  ends.push(() => tokens.close());
  const realm = `http://127.0.0.1:${(tokens.address() as AddressInfo).port}/token`;
  const token = { realm, service: 'a registry', issuer: 'tokens', rootcertbundle: cert };
  // The same files as the open one: only pulls are tried here.
  const guarded = await startOciRegistry(join(dir, 'open'), '127.0.0.1', { auth: { token } });
  ends.push(() => guarded.stop());
  const host = hostOf(guarded);
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ auths: { [host]: { auth: login } } }));
  const repo = repository(`postgres: ${host}/parts/database:1\n`);
  const pinned = await call(['images', 'pin', 'postgres', '--repo', repo], { env });
  assert.is(pinned.code, 0, pinned.stderr);
  assert.is(readFileSync(join(repo, 'images.yaml'), 'utf8'), `postgres: ${host}/parts/database:1@${digest}\n`);
  assert.equal(asked, [{ scope: 'repository:parts/database:pull', login: `Basic ${login}` }]);
});

test('a manifest that is not what its registry says is refused', async () => {
  const liar = createServer((_request, answer) => {
    answer.setHeader('docker-content-digest', digest).end('{}');
  });
  await new Promise<void>((done) => liar.listen(0, '127.0.0.1', done));
  ends.push(() => liar.close());
  const host = `127.0.0.1:${(liar.address() as AddressInfo).port}`;
  assert.match(await digestNow(`${host}/a:1`, { signal }).then(() => '', String), /the registry says sha256:/);
});

for (const [image, host, url, repository, tag] of [
  ['docker.io/library/redis:7.4.1', 'docker.io', 'https://registry-1.docker.io', 'library/redis', '7.4.1'],
  ['chutes-miner/miner:0.1.0', 'docker.io', 'https://registry-1.docker.io', 'chutes-miner/miner', '0.1.0'],
  ['quay.io/a/b:v1@sha256:0', 'quay.io', 'https://quay.io', 'a/b', 'v1'],
  ['localhost/a:1', 'localhost', 'http://localhost', 'a', '1'],
  ['r.example:5000/a/b/c:1', 'r.example:5000', 'https://r.example:5000', 'a/b/c', '1'],
] as const)
  test(`${image} is looked for at ${url}`, () => assert.equal(placeOf(image), { host, url, repository, tag }));

test.run();

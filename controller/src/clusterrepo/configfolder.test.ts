import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MinerError } from '../domain/errors.ts';
import { imageValues } from '../domain/values/images.ts';
import { readConfigFolder } from './configfolder.ts';
import { serverFileText } from './serverfile.ts';
import { miner, validator } from './testing/fixture.ts';
import { serverConfigOf } from './testing/testrepo.ts';

const minerYaml = `hotkey: ${miner}
validators:
  - hotkey: ${validator}
    registry: registry.chutes.ai
    api: https://api.chutes.ai
    socket: wss://ws.chutes.ai
`;

function serverYaml(n: number, change: object = {}): string {
  return serverFileText(undefined, { ...serverConfigOf(n), ...change }, 'new') ?? '';
}

async function read(files: Record<string, string | Buffer>) {
  const dir = mkdtempSync(join(tmpdir(), 'config-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), content);
    }
    return await readConfigFolder(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function problems(files: Record<string, string | Buffer>): Promise<string[]> {
  return read(files).then(
    () => [],
    (error: MinerError) => {
      assert.is(error.code, 'E-CONFIG', error.message);
      return error.message.split('\n');
    },
  );
}

test('servers are read by name; examples and other files are not', async () => {
  const { config, servers } = await read({
    'miner.yaml': minerYaml,
    'servers/gpu-0001.yaml': serverYaml(1),
    'servers/example.yaml': 'nonsense',
    'servers/example-8x.yaml': 'nonsense',
    'servers/notes.txt': 'nonsense',
    'servers/.hidden.yaml': 'nonsense',
  });
  assert.is(config.hotkey, miner);
  assert.equal([...servers], [['gpu-0001', serverConfigOf(1)]]);
});

test('a policy that names a server without a file is found on its line, with the name that was meant', async () => {
  const x = '1b2c3d4e-0000-4000-8000-000000000001';
  const policy = `policy:
  chutes:
    ${x}:
      servers: [gpu-0001, gpu-001]
  servers:
    other:
      maximum: 1
`;
  const files = { 'miner.yaml': minerYaml + policy, 'servers/gpu-0001.yaml': serverYaml(1) };
  assert.equal(await problems(files), [
    `miner.yaml:10: policy.chutes.${x}.servers[1]: found "gpu-001", allowed: gpu-0001 (is that what you mean?)`,
    'miner.yaml:12: policy.servers.other: found "other", allowed: a server that has a file under servers/',
  ]);
  const faulty = { ...files, 'servers/other.yaml': 'name: other', 'servers/gpu-001.yaml': 'x' };
  assert.not((await problems(faulty)).some((problem) => problem.includes('a server that has a file')));
});

test('images.yaml takes the place of defaults, and an image has one place only', async () => {
  const image = `r.example/redis:7@sha256:${'ab'.repeat(32)}`;
  const { config } = await read({ 'miner.yaml': minerYaml, 'images.yaml': `redis: ${image}\n` });
  assert.equal([config.images.redis, config.images.nginx], [image, imageValues.parse({}).nginx]);
  assert.equal(
    (await read({ 'miner.yaml': minerYaml, 'images.yaml': '# none\n' })).config.images,
    imageValues.parse({}),
  );
  const twice = { 'miner.yaml': `${minerYaml}images:\n  redis: r/redis:6\n`, 'images.yaml': `redis: ${image}\n` };
  assert.equal(await problems(twice), [
    'miner.yaml:8: images.redis: found an image, allowed: to be named in images.yaml only, where it is too',
  ]);
  assert.equal(await problems({ 'miner.yaml': minerYaml, 'images.yaml': `redi: ${image}\nnginx: r/nginx:latest\n` }), [
    'images.yaml:1: redi: found an unknown field, allowed: redis (is that what you mean?)',
    'images.yaml:2: nginx: found "r/nginx:latest", allowed: name:tag or name:tag@sha256:…, and the tag may not be latest',
  ]);
});

test('a folder without servers is valid, one without miner.yaml is not', async () => {
  assert.is((await read({ 'miner.yaml': minerYaml })).servers.size, 0);
  assert.match((await problems({}))[0] ?? '', /^miner\.yaml:1: found no such file/);
});

test('what must agree between files is checked, and everything is reported at once', async () => {
  const found = await problems({
    'miner.yaml': minerYaml.replace('registry: registry.chutes.ai', 'registry: ""'),
    'servers/a.yaml': serverYaml(1),
    'servers/gpu-0002.yaml': serverYaml(2, { agentApi: 'http://192.0.2.9:32000' }),
    'servers/gpu-0003.yaml': serverYaml(3, { agentApi: 'HTTP://192.0.2.9:32000/' }).replace('HTTP', 'http'),
    'servers/gpu-0004.yaml': `${serverYaml(4)}colour: red\n`,
    'servers/gpu-0005.yml': serverYaml(5),
  });
  assert.equal(found, [
    'miner.yaml:4: validators[0].registry: found "", allowed: at least 1 character',
    'servers/a.yaml:3: name: found "gpu-0001", allowed: the name of the file, which would have to be servers/gpu-0001.yaml',
    'servers/gpu-0004.yaml:9: colour: found an unknown field, allowed: name, validator, hourlyCost, gpuShortRef, agentApi, locked, netMbps, diskReadGbps, cache, registryMode',
    'servers/gpu-0005.yml:3: name: found "gpu-0005", allowed: the name of the file, which would have to be servers/gpu-0005.yaml',
    'servers/gpu-0003.yaml:7: agentApi: found "http://192.0.2.9:32000/", allowed: an address of its own; servers/gpu-0002.yaml has this one',
  ]);
});

test('a server must work for a configured validator, and each validator is configured once', async () => {
  const twice = minerYaml + minerYaml.slice(minerYaml.indexOf('  - hotkey'));
  assert.match(
    (await problems({ 'miner.yaml': twice }))[0] ?? '',
    /^miner\.yaml:7: validators\[1\]\.hotkey: found .* second time/,
  );
  const other = serverYaml(1, { validator: miner });
  const found = await problems({ 'miner.yaml': minerYaml, 'servers/gpu-0001.yaml': other });
  assert.match(
    found[0] ?? '',
    /^servers\/gpu-0001\.yaml:4: validator: found "5Grw.*allowed: a validator of miner\.yaml/,
  );
});

test('bytes that are no text are a problem of the file', async () => {
  const found = await problems({ 'miner.yaml': Buffer.from([0x61, 0x3a, 0x20, 0xff, 0x0a]) });
  assert.equal(found, ['miner.yaml:1: found bytes that are not UTF-8 text, allowed: UTF-8 text']);
});

test('a server file keeps comments, order and spelling where nothing changes', () => {
  const existing = `# Rack 4, left\nhourlyCost: 1.50 # contract until May\nname: gpu-0001\nvalidator: ${validator}\n\ngpuShortRef: "h100_sxm"\nagentApi: http://192.0.2.1:32000\n`;
  const file = 'servers/gpu-0001.yaml';
  assert.is(serverFileText(existing, serverConfigOf(1), file), undefined);
  assert.is(
    serverFileText(existing, { ...serverConfigOf(1), hourlyCost: 2, locked: true }, file),
    `${existing.replace('1.50', '2.00')}locked: true\n`,
  );
});

test('a server file that a person broke is not overwritten', () => {
  for (const existing of ['name: [\n', `${serverYaml(1)}colour: red\n`]) {
    assert.throws(
      () => serverFileText(existing, { ...serverConfigOf(1), locked: true }, 'servers/gpu-0001.yaml'),
      (error: MinerError) => error.code === 'E-CONFIG' && error.message.startsWith('servers/gpu-0001.yaml:'),
    );
  }
});

test.run();

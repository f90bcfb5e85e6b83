import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { startTestCluster, until } from '../kubernetes/testcluster.ts';
import { createSigner } from '../signing/sr25519.ts';
import { type RegistryAuthRoleOptions, role, runRegistryAuth } from './registry-auth.ts';

const limitMs = 30_000;
const soon = (what: string, holds: () => boolean) => until(what, holds, limitMs);

const seed = '07'.repeat(32);
const own = createSigner(Buffer.from(seed, 'hex')).address;
const validator = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
const entry = { hotkey: validator, registry: 'registry.test', api: 'https://api.test', socket: 'wss://ws.test' };
const miner = (hotkey: string) => JSON.stringify({ hotkey, validators: [entry] });
const validators = JSON.stringify({ defaultRegistry: 'registry.test', supported: [{ ...entry, later: true }] });

interface Scene {
  dir: string;
  options: RegistryAuthRoleOptions;
  logged: string[];
  /** Path of a file with that text. */
  file(name: string, text: string): string;
}

const test = suite<Scene>('role registry-auth');
test.before.each((scene) => {
  const dir = mkdtempSync(join(tmpdir(), 'registry-role-'));
  function file(name: string, text: string): string {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  }
  const logged: string[] = [];
  const options: RegistryAuthRoleOptions = {
    hotkeyFile: file('hotkey', JSON.stringify({ ss58Address: own, secretSeed: `0x${seed}` })),
    configFile: undefined,
    validatorsJson: validators,
    port: 0,
    statusHost: '127.0.0.1',
    statusPort: 0,
    kubeconfigFile: undefined,
    node: 'gpu-0',
    log: pino({}, { write: (line: string) => logged.push(line) }),
  };
  Object.assign(scene, { dir, file, logged, options });
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

test('it is ready once the pods of the node are listed, and answers with validators from either source', async (scene) => {
  const { options, file, logged } = scene;
  const cluster = await startTestCluster();
  const node = cluster.names[0] ?? '';
  const kubeconfigFile = file('kubeconfig', cluster.kubeconfig(node));
  const sources = [{ validatorsJson: validators }, { configFile: file('miner.yaml', miner(own)) }];
  for (const source of sources) {
    const running = await runRegistryAuth({ ...options, ...source, kubeconfigFile, node });
    try {
      let ready = 0;
      const poll = setInterval(async () => {
        ready = (await fetch(`${running.statusUrl}/readyz`)).status;
      }, 10);
      await soon('ready', () => ready === 200).finally(() => clearInterval(poll));
      const { port } = new URL(running.url);
      assert.is((await fetch(`http://127.0.0.1:${port}/registry/auth`)).status, 401, 'the host is no validator');
    } finally {
      await running.stop();
    }
  }
  await cluster.close();
  assert.not(logged.join('').includes(seed));
});

const mistakes: [
  why: string,
  code: string,
  message: RegExp,
  change: (scene: Scene) => Partial<RegistryAuthRoleOptions>,
][] = [
  ['a node name that is none', 'E-USAGE', /--node: found "GPU 0"/, () => ({ node: 'GPU 0' })],
  ['no source of validators', 'E-USAGE', /--config is missing/, () => ({ validatorsJson: undefined })],
  ['VALIDATORS that is no JSON', 'E-CONFIG', /VALIDATORS: found text/, () => ({ validatorsJson: '{' })],
  [
    'VALIDATORS without validators',
    'E-CONFIG',
    /VALIDATORS: .*supported/s,
    () => ({ validatorsJson: '{"supported":[]}' }),
  ],
  ['a miner.yaml that is missing', 'E-CONFIG', /nowhere: found no file/, () => ({ configFile: '/nowhere' })],
  [
    'a miner.yaml with a mistake',
    'E-CONFIG',
    /miner.yaml:1: validators/,
    ({ file }) => ({ configFile: file('miner.yaml', `hotkey: ${own}`) }),
  ],
  [
    'a miner.yaml of another miner',
    'E-HOTKEY',
    /found 5FHn/,
    ({ file }) => ({ configFile: file('miner.yaml', miner(validator)) }),
  ],
  [
    'a kubeconfig that is none',
    'E-USAGE',
    /--kubeconfig/,
    ({ file }) => ({ kubeconfigFile: file('kubeconfig', 'none') }),
  ],
  ['no kubeconfig outside of a cluster', 'E-USAGE', /--kubeconfig/, () => ({ kubeconfigFile: undefined })],
];
for (const [why, code, message, change] of mistakes) {
  test(`${why} is told before anything is started`, async (scene) => {
    const usable =
      'clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]\ncontexts: [{name: a, context: {cluster: a}}]\ncurrent-context: a\n';
    const kubeconfigFile = scene.file('usable', usable);
    try {
      await runRegistryAuth({ ...scene.options, kubeconfigFile, ...change(scene) });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, MinerError, String(error));
      assert.is((error as MinerError).code, code);
      assert.match((error as MinerError).message, message);
    }
    assert.equal(scene.logged, []);
  });
}

test('the help names every option', () => {
  for (const name of Object.keys(role.options)) assert.ok(role.help.includes(`--${name} `), name);
});

test.run();

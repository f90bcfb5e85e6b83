// The role as a process, on the CPU, as its pod starts it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { buildAddon } from '@miner/graval/build.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { managementHeaders, serviceHeaders } from '../signing/sign.ts';
import { createSigner } from '../signing/sr25519.ts';

const miner = createSigner(Buffer.from('01'.repeat(32), 'hex'));
const validator = createSigner(Buffer.from('02'.repeat(32), 'hex'));
const main = new URL('../main.ts', import.meta.url).pathname;
const env = { PATH: process.env.PATH ?? '', MINER_HOTKEY_SS58: miner.address, VALIDATOR_WHITELIST: validator.address };

const test = suite<{ child: ChildProcess; url: string; statusUrl: string }>('role graval-bootstrap');

function start(backend: string): ChildProcess {
  const ports = ['--host', '127.0.0.1', '--port', '0', '--status-port', '0'];
  const args = ['--disable-warning=ExperimentalWarning', main, 'graval-bootstrap', ...ports, '--backend', backend];
  return spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

test.before(async (context) => {
  buildAddon();
  context.child = start('cpu');
  let log = '';
  for await (const chunk of context.child.stdout ?? []) {
    log += chunk;
    if (log.includes('"url"')) break;
  }
  const { url, statusUrl } = JSON.parse(log.split('\n').find((line) => line.includes('"url"')) ?? '{}');
  Object.assign(context, { url, statusUrl });
});
test.after(({ child }) => void child.kill('SIGKILL'));

test('it answers the miner and its validators, proves, and tells how it is', async ({ url, statusUrl }) => {
  assert.is(await (await fetch(`${url}/ping`)).text(), 'pong');
  assert.is((await fetch(`${url}/devices`)).status, 401);
  const listed = await fetch(`${url}/devices`, { headers: managementHeaders(miner, { purpose: 'graval' }) });
  const { devices } = (await listed.json()) as { devices: { uuid: string }[] };
  assert.is(devices.length, 1);
  const body = '{"seed":9223372036854775807,"iterations":1}';
  const headers = serviceHeaders(validator, miner.address, { body });
  const proved = await fetch(`${url}/prove`, { method: 'POST', body, headers });
  const text = await proved.text();
  assert.is(proved.status, 200, text);
  assert.match(text, `"seed":9223372036854775807,"proof":{"${devices[0]?.uuid}"`);
  const health = (await (await fetch(`${statusUrl}/healthz`)).json()) as { ok: boolean; backend: string; gpus: number };
  assert.equal([health.ok, health.backend, health.gpus], [true, 'cpu', 1]);
  assert.match(await (await fetch(`${statusUrl}/metrics`)).text(), 'miner_graval_gpus{backend="cpu"} 1');
});

test('it ends on SIGTERM', async ({ child }) => {
  child.kill('SIGTERM');
  assert.equal(await once(child, 'exit'), [0, null]);
});

test('without a GPU it ends at once and says why', async () => {
  const child = start('cuda');
  let said = '';
  for await (const chunk of child.stderr ?? []) said += chunk;
  assert.match(said, /libcuda|driver|GPU/);
  assert.is(child.exitCode ?? (await once(child, 'exit'))[0], 1);
});

test.run();

// What the entry point answers to options that are wrong: exit code 2, one line that says what is allowed, and nothing made.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createSigner } from '../signing/sr25519.ts';

interface Context {
  folder: string;
  /** Accepts connections and says nothing. */
  silent: Server;
  port: number;
}

interface Ended {
  code: number | null;
  text: string;
}

const entry = fileURLToPath(new URL('../main.ts', import.meta.url));
const start = suite<Context>('start');

function run(cwd: string, ...args: string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const env = { PATH: process.env.PATH };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry, ...args], { cwd, env });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, text }));
  return { child, ended };
}

start.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'start-'));
  const files = { 'no-redis': 'nonsense', redis: 'redis://127.0.0.1:1', 'two-words': 'a\nsecret', token: 'one-word' };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(context.folder, name), text);
  context.silent = createServer().listen(0, '127.0.0.1');
  await once(context.silent, 'listening');
  context.port = (context.silent.address() as AddressInfo).port;
  writeFileSync(join(context.folder, 'silent'), `postgres://u:secret@127.0.0.1:${context.port}/db`);
});

start.after(({ folder, silent }) => {
  silent.close();
  rmSync(folder, { recursive: true, force: true });
});

const database = ['--postgres-file', 'silent', '--repository', 'made'];
const gepetto = ['gepetto', ...database, '--controller', 'http://127.0.0.1:1', '--link-token-file'];
const wrong: [what: string, args: string[], said: RegExp][] = [
  ['a port that is none', ['all', '--dir', 'made', '--hotkey', 'h', '--port', '70000'], /--port: .*0 to 65535/],
  ['an empty number', ['all', '--dir', 'made', '--hotkey', 'h', '--port', ''], /--port: found ""/],
  ['a clock that stands', ['all', '--dir', 'made', '--hotkey', 'h', '--clock-speed', '0'], /--clock-speed: .*from 1/],
  ['a controller that is no URL', ['gepetto', ...database, '--controller', 'nowhere'], /--controller: .*http or https/],
  ['a Redis URL that is none', [...gepetto, 'token', '--redis-file', 'no-redis'], /Redis URL/],
  ['a token that fits no header', [...gepetto, 'two-words', '--redis-file', 'redis'], /--link-token-file/],
];
for (const [what, args, said] of wrong) {
  start(`${what} ends with code 2 before anything is made`, async ({ folder }) => {
    const { code, text } = await run(folder, ...args).ended;
    assert.is(code, 2, text);
    assert.match(text, said);
    assert.not.match(text, /secret|nonsense|\n\s+at /);
    assert.not(readdirSync(folder).includes('made'));
  });
}

start('an address that is in use is named, with code 2', async ({ folder, port }) => {
  const seed = Buffer.alloc(32, 7);
  const hotkey = JSON.stringify({
    ss58Address: (await createSigner(seed)).address,
    secretSeed: `0x${seed.toString('hex')}`,
  });
  const named = (kind: string, content: object) => [{ name: 'n', [kind]: content }];
  const kubeconfig = JSON.stringify({
    clusters: named('cluster', { server: 'http://127.0.0.1:1' }),
    users: named('user', { token: 't' }),
    contexts: named('context', { cluster: 'n', user: 'n' }),
    'current-context': 'n',
  });
  for (const [name, text] of Object.entries({ hotkey, kubeconfig })) writeFileSync(join(folder, name), text);
  const options = ['--hotkey', 'hotkey', '--kubeconfig', 'kubeconfig', '--name', 'n', '--state-dir', 'state'];
  const { code, text } = await run(folder, 'agent', ...options, '--host', '127.0.0.1', '--port', `${port}`).ended;
  assert.is(code, 2, text);
  assert.match(text, new RegExp(`E-USAGE: .*in use.*${port}`));
});

start('a role that still waits for the database ends at once on SIGTERM', async ({ folder, silent }) => {
  const files = ['--from-file', 'silent', '--to-file', 'silent', '--config-dir', folder];
  const asked = once(silent, 'connection');
  const { child, ended } = run(folder, 'import-upstream', ...files);
  await asked;
  child.kill('SIGTERM');
  assert.is((await ended).code, 143);
});

start.run();

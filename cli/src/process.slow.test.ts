// The program as a process: what it loads to print help, Ctrl-C, a reader that goes away, an older Node.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { prepare, type TestContext } from './testing/context.ts';
import { server } from './testing/shapes.ts';

const program = fileURLToPath(new URL('../bin/chutes-miner.mjs', import.meta.url));
const test = suite<TestContext>('process');
prepare(test);

function start({ env }: TestContext, flags: readonly string[], args: readonly string[]) {
  const child = spawn(process.execPath, [...flags, program, ...args], { env: { PATH: process.env.PATH, ...env } });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    said.stdout += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said.stderr += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { child, said, ended };
}

const addOptions = '--validator v --hourly-cost 1 --gpu-short-ref a6000 --agent-api http://127.0.0.1:9'.split(' ');

/** Prints each module that is loaded, on stderr. */
const watchLoads = `data:text/javascript,${encodeURIComponent(
  "import { registerHooks } from 'node:module'; import { writeSync } from 'node:fs';" +
    "registerHooks({ load(url, context, next) { writeSync(2, 'load ' + url + '\\n'); return next(url, context); } });",
)}`;

test('help loads no heavy library, and an unknown command neither', async (context) => {
  for (const [args, code] of [
    [['--help'], 0],
    [['nosuch'], 2],
  ] as const) {
    const { said, ended } = start(context, ['--import', watchLoads], args);
    assert.is(await ended, code, said.stderr);
    assert.match(said.stderr, /load file:.*commander/);
    assert.not.match(said.stderr, /node_modules\/(zod|yaml|ora|cli-table3|@polkadot|@bomb\.sh)\//);
  }
});

test('Ctrl-C ends a call that waits with 130 and a way to go on', async (context) => {
  const { upstream } = context;
  const asked = new Promise<void>((resolve) => upstream.on('POST /servers/', () => resolve()));
  const { child, said, ended } = start(context, [], ['node', 'add', 'gpu-0', ...addOptions]);
  await asked;
  child.kill('SIGINT');
  assert.is(await ended, 130);
  assert.match(said.stderr, /^interrupted: .*chutes-miner node show gpu-0/m);
});

test('Ctrl-C is told as such to whoever reads JSON', async (context) => {
  const asked = new Promise<void>((resolve) => context.upstream.on('POST /servers/', () => resolve()));
  const { child, said, ended } = start(context, [], ['node', 'add', 'gpu-0', ...addOptions, '-o', 'json']);
  await asked;
  child.kill('SIGINT');
  assert.is(await ended, 130);
  assert.is(JSON.parse(said.stdout).error.code, 'E-ABORTED');
});

test('adding a server goes on when the reader of its progress goes away, and ends with its own code', async (context) => {
  const finish = Promise.withResolvers<void>();
  context.upstream.on('POST /servers/', async (_request, response) => {
    const tell = (message: string) => response.write(`data: ${JSON.stringify({ timestamp: 't', message })}\n\n`);
    response.writeHead(200);
    tell('begun');
    await finish.promise;
    for (const message of ['still at it', 'FAILED: E-NODE no such node']) tell(message);
    response.end();
  });
  const { child, said, ended } = start(context, [], ['node', 'add', 'gpu-0', ...addOptions]);
  child.stdout.once('data', () => {
    child.stdout.destroy();
    finish.resolve();
  });
  assert.is.not(await ended, 0);
  assert.match(said.stderr, /E-NODE/);
});

test('a reader that goes away is no error', async (context) => {
  context.upstream.on(
    'GET /servers/',
    Array.from({ length: 2000 }, (_, i) => server(`gpu-${i}`)),
  );
  const { child, said, ended } = start(context, [], ['local-inventory', '--raw-json']);
  child.stdout.once('data', () => child.stdout.destroy());
  assert.is(await ended, 0, said.stderr);
  assert.is(said.stderr, '');
});

test('everything is written before it ends, also into a slow pipe', async (context) => {
  context.upstream.on(
    'GET /servers/',
    Array.from({ length: 500 }, (_, i) => server(`gpu-${i}`)),
  );
  const { said, ended } = start(context, [], ['local-inventory', '--raw-json']);
  assert.is(await ended, 0);
  assert.is(JSON.parse(said.stdout).length, 500);
});

test.run();

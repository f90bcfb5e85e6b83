// Completion as a shell asks for it: the program as a process, with names from the miner API.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { prepare, type TestContext } from './testing/context.ts';
import { deploymentId, server } from './testing/shapes.ts';

const program = fileURLToPath(new URL('../bin/chutes-miner.mjs', import.meta.url));
const test = suite<TestContext>('completion');
prepare(test);

/** What a shell is offered for these words; the last one is being typed. */
function complete({ env }: TestContext, ...words: string[]): Promise<string[]> {
  const options = { env: { PATH: process.env.PATH, ...env } };
  const child = spawn(process.execPath, [program, 'complete', '--', ...words], options);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  return new Promise((resolve) =>
    child.on('close', () =>
      resolve(
        output
          .split('\n')
          .filter((line) => line && !line.startsWith(':'))
          .map((line) => line.split('\t')[0] ?? ''),
      ),
    ),
  );
}

test('commands, subcommands, options and choices are offered', async (context) => {
  assert.ok((await complete(context, 'sta')).includes('status'));
  assert.equal((await complete(context, 'node', '')).sort(), ['add', 'delete', 'list', 'lock', 'show', 'unlock']);
  assert.equal((await complete(context, 'add-node', '--gpu')).sort(), ['--gpu-short-ref']);
  assert.ok((await complete(context, 'local-inventory', '--out')).includes('--output'));
  assert.equal((await complete(context, 'node', 'list', '--output', '')).sort(), [
    'json',
    'name',
    'table',
    'wide',
    'yaml',
  ]);
});

test('names of servers and deployments come from the miner, which is asked once a minute', async (context) => {
  context.upstream.on('GET /servers/', [server('gpu-0'), server('gpu-1')]);
  assert.equal(await complete(context, 'lock', '--name', ''), ['gpu-0', 'gpu-1']);
  assert.equal(await complete(context, 'node', 'lock', 'gpu-1'), ['gpu-1']);
  assert.ok((await complete(context, 'purge-deployment', '-d', '')).includes(deploymentId));
  assert.ok((await complete(context, 'why', 'll')).includes('llama'));
  assert.is(context.upstream.requests.length, 1);
});

test('GPU refs are offered without a miner, and a miner that is down is no noise', async (context) => {
  context.env.MINER_API = 'http://127.0.0.1:9';
  assert.ok((await complete(context, 'add-node', '--gpu-short-ref', 'h100')).includes('h100_sxm'));
  assert.equal(await complete(context, 'lock', '--name', ''), []);
});

for (const shell of ['bash', 'zsh', 'fish']) {
  test(`the script for ${shell} is printed, shown and installed`, async ({ cli, folder }) => {
    const printed = await cli(`completion ${shell}`);
    assert.is(printed.code, 0);
    assert.match(printed.stdout, /chutes-miner complete -- /);
    assert.is((await cli(`--show-completion ${shell}`)).stdout, printed.stdout);
    assert.is((await cli('--show-completion', { env: { SHELL: `/usr/bin/${shell}` } })).stdout, printed.stdout);
    const installed = await cli(`--install-completion ${shell}`);
    const path = /installed in (.*)\n/.exec(installed.stdout)?.[1] ?? '';
    assert.ok(path.startsWith(folder) && existsSync(path), path);
    assert.is(readFileSync(path, 'utf8'), printed.stdout);
  });
}

const lines: [line: string, words: string[], offered: string[]][] = [
  ['a word that was begun', ['node', 'lo'], ['lock']],
  ['an empty word', ['node', 'lock', ''], ['gpu-0']],
  ['a value after =', ['lock', '--name', '=', 'gpu'], ['gpu-0']],
  ['nothing after =', ['lock', '--name', '='], ['gpu-0']],
];

for (const [what, words, offered] of lines) {
  test(`bash alone, without its completion package, is offered the right words for ${what}`, async ({
    env,
    upstream,
  }) => {
    upstream.on('GET /servers/', [server('gpu-0')]);
    const quoted = ['chutes-miner', ...words].map((word) => `'${word}'`).join(' ');
    const script = [
      `chutes-miner() { '${process.execPath}' '${program}' "$@"; }`,
      'source <(chutes-miner completion bash)',
      `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length}`,
      `_chutes_miner; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ].join('\n');
    const child = spawn('bash', ['--norc', '-c', script], { env: { PATH: process.env.PATH, ...env } });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk;
      });
    }
    await new Promise((resolve) => child.on('close', resolve));
    assert.equal(output.trim().split('\n'), offered);
  });
}

test('an unknown shell is refused with the ones there are', async ({ cli }) => {
  const { code, stderr } = await cli('completion tcsh');
  assert.is(code, 2);
  assert.match(stderr, /allowed: bash, zsh, fish/);
});

test.run();

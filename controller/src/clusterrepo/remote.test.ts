import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { openGitProgram } from './program.ts';
import { openRemote } from './remote.ts';

const refused = [
  { url: 'https://miner:hunter2@git.example/cluster.git', said: /credentials/ },
  { url: 'https://hunter2@git.example/cluster.git', said: /credentials/ },
  { url: 'ssh://git:hunter2@git.example/cluster.git', said: /credentials/ },
  { url: 'ext::sh -c hunter2', said: /must begin with/ },
  { url: '--upload-pack=hunter2', said: /must begin with/ },
  { url: '/srv/hunter2', said: /must begin with/ },
];
for (const { url, said } of refused) {
  test(`the URL ${url} is refused without being repeated`, () => {
    try {
      openRemote('/nonexistent', { url });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, MinerError);
      assert.is((error as MinerError).code, 'E-USAGE');
      assert.match((error as MinerError).message, said);
      assert.not.match((error as MinerError).message, 'hunter2');
    }
  });
}

for (const url of [
  'https://git.example/a.git',
  'ssh://git@git.example/a.git',
  'http://[::1]:3000/a',
  'file:///srv/a.git',
]) {
  test(`the URL ${url} is taken`, () => assert.is(openRemote('/nonexistent', { url }).url, url));
}

test('a token that the other side repeats does not get into the reason', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'program-'));
  const file = join(dir, 'credential');
  writeFileSync(file, 'miner:hun:ter2\n');
  const git = openGitProgram(dir, 1_000, file);
  const reasons = [
    ['fatal: you sent hun:ter2\n', 'you sent ***'],
    ["fatal: unable to access 'https://miner:other@git.example/'\n", "unable to access 'https://git.example/'"],
    ['remote: first\nerror: second\nfatal: third\n', 'second'],
    ['', 'git ended with 3'],
  ];
  for (const [stderr = '', expected] of reasons) {
    assert.is(await git.reasonOf({ code: 3, stdout: '', stderr, timedOut: false }), expected);
  }
  rmSync(dir, { recursive: true });
});

test('git gets nothing of the surroundings but its way out', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'program-'));
  process.env.GIT_DIR = '/elsewhere';
  process.env.MINER_SEED = 'secret';
  const git = openGitProgram(dir, 10_000, '/nonexistent/credential');
  const { stdout } = await git.run(['-c', 'alias.show-env=!env', 'show-env']);
  for (const name of ['GIT_DIR', 'MINER_SEED']) delete process.env[name];
  assert.not.match(stdout, '/elsewhere');
  assert.not.match(stdout, 'MINER_SEED');
  assert.match(stdout, 'GIT_TERMINAL_PROMPT=0');
  assert.match(stdout, 'LC_ALL=C');
  rmSync(dir, { recursive: true });
});

test('a git that takes too long is ended with its children', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'program-'));
  const result = await openGitProgram(dir, 300).run(['-c', 'alias.wait=!sleep 600; true', 'wait']);
  assert.is(result.timedOut, true);
  assert.is(result.code, undefined);
  rmSync(dir, { recursive: true });
});

test.run();

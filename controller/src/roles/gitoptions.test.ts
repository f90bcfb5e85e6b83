import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { readGitOptions } from './gitoptions.ts';
import type { OptionValues } from './role.ts';

const test = suite<{ dir: string; file(text: string): string }>('options of the cluster repository');
test.before((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'gitoptions-'));
  context.file = (text) => {
    const path = join(context.dir, 'credential');
    writeFileSync(path, text);
    return path;
  };
});
test.after(({ dir }) => rmSync(dir, { recursive: true }));

const url = 'https://git.example/miner/cluster.git';

async function refusal(values: OptionValues): Promise<string> {
  try {
    await readGitOptions(values);
  } catch (error) {
    assert.instance(error, MinerError);
    assert.is((error as MinerError).code, 'E-USAGE');
    return (error as MinerError).message;
  }
  return assert.unreachable('was taken') as never;
}

test('without options the local repository counts, and history of a month is kept', async () => {
  const { remote, author, signing, upkeep } = await readGitOptions({});
  assert.equal([remote, author, signing], [undefined, undefined, undefined]);
  assert.equal(upkeep, { squashAgeMs: 30 * 86_400_000, tidyEveryMs: 6 * 3_600_000 });
});

test('all options together say where and how', async ({ file }) => {
  const credentialFile = file('miner:tok:en\nsecond line\n');
  const options = await readGitOptions({
    'git-url': url,
    'git-credential-file': credentialFile,
    'git-main-branch': 'fleet',
    'git-live-branch': 'fleet-live',
    'git-poll-seconds': '3',
    'git-timeout-seconds': '7',
    'git-author': 'The Miner <miner@example.org>',
    'git-squash-days': '0',
  });
  assert.equal(options.remote, {
    url,
    credentialFile,
    everyMs: 3_000,
    timeoutMs: 7_000,
    branches: { main: 'fleet', live: 'fleet-live' },
  });
  assert.equal(options.author, { name: 'The Miner', email: 'miner@example.org' });
  assert.is(options.upkeep.squashAgeMs, undefined);
});

const wrong: [OptionValues, RegExp][] = [
  [{ 'git-url': 'git@host:repo.git' }, /^--git-url: allowed: an https/],
  [{ 'git-url': 'https://me:hunter2@git.example/a.git' }, /^--git-url: allowed: .*belong into --git-credential-file$/],
  [{ 'git-url': url, 'git-poll-seconds': '0' }, /^--git-poll-seconds: found "0", allowed: .* from 1 to 3600$/],
  [{ 'git-url': url, 'git-timeout-seconds': 'soon' }, /^--git-timeout-seconds: found "soon"/],
  [{ 'git-poll-seconds': '5' }, /^--git-poll-seconds is of no use without --git-url$/],
  [{ 'git-author': 'nobody' }, /^--git-author: found "nobody", allowed: "Name <address>"$/],
  [{ 'git-signing-key': 'ABCDEF01' }, /belong together/],
  [
    { 'git-signing-home': '/nowhere', 'git-signing-key': '--yes' },
    /^--git-signing-key: found "--yes", allowed: a finger/,
  ],
  [
    { 'git-signing-home': '/nowhere', 'git-signing-key': 'ABCDEF01' },
    /cannot be signed with key ABCDEF01 of \/nowhere/,
  ],
  [{ 'git-squash-days': '-1' }, /^--git-squash-days: found "-1"/],
  [{ 'git-url': url, 'git-credential-file': '/nowhere' }, /^--git-credential-file: \/nowhere cannot be read: ENOENT$/],
];
for (const [values, message] of wrong) {
  test(`${JSON.stringify(values)} is refused: ${message.source}`, async () => {
    const said = await refusal(values);
    assert.match(said, message);
    assert.not.match(said, 'hunter2');
  });
}

test('a credential file in another form is refused without being quoted', async ({ file }) => {
  const said = await refusal({ 'git-url': url, 'git-credential-file': file('just-the-hunter2-token\n') });
  assert.match(said, /allowed: user:token on the first line$/);
  assert.not.match(said, 'hunter2');
});

test.run();

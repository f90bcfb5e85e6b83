// The help of every command, as it is committed in golden/help.txt; `npm run golden` writes it anew.

import { readFileSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { entries } from './registry.ts';
import { call } from './testing/run.ts';

const test = suite('help');
const file = new URL('./golden/help.txt', import.meta.url);

async function helpOf(words: readonly string[]): Promise<string> {
  const { code, stdout } = await call([...words, '--help'], { env: { COLUMNS: '100' } });
  assert.is(code, 0, words.join(' '));
  return stdout;
}

test('the help of every command is the committed one', async () => {
  const paths = [[], ...entries.filter(({ path }) => path[0] !== 'tee').map(({ path }) => path)];
  const texts: string[] = [];
  for (const path of paths) texts.push(`$ chutes-miner ${[...path, '--help'].join(' ')}\n${await helpOf(path)}`);
  const now = texts.join('\n');
  if (process.env.UPDATE_GOLDEN) writeFileSync(file, now);
  assert.fixture(now, readFileSync(file, 'utf8'));
});

for (const { path, alias, load } of entries) {
  test(`${path.join(' ')} teaches by examples, under each of its names`, async () => {
    const { command } = await load();
    assert.ok(command.examples.length > 0);
    for (const words of [path, ...(alias ? [[alias]] : [])]) {
      const help = await helpOf(words);
      assert.match(help, /\nExamples:\n {2}\$ chutes-miner /);
      for (const { flags } of command.options ?? []) assert.ok(help.includes(flags), flags);
    }
  });
}

test('no command at all prints the help and ends with 0, and so does a group', async () => {
  for (const args of [[], ['node'], ['help'], ['help', 'node']]) {
    const { code, stdout } = await call(args);
    assert.is(code, 0, args.join(' '));
    assert.match(stdout, /^Usage: chutes-miner/);
  }
});

test('version is the same in all its forms', async () => {
  const { stdout } = await call(['--version']);
  assert.is((await call(['version', '-o', 'name'])).stdout, stdout);
});

test.run();

// What the template promises to whoever writes a strategy: types that are ours, an example that they accept and that runs.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createStrategist } from './strategist.ts';
import { question } from './testing/question.ts';

const folder = fileURLToPath(new URL('../../../cluster-repo-template/strategy', import.meta.url));
const read = (name: string) => readFileSync(join(folder, name), 'utf8');

/** What tsc says about the folder with this file in it besides; empty when it is content. */
function complaints(name: string, text: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'strategy-'));
  const tsc = fileURLToPath(new URL('../../../node_modules/.bin/tsc', import.meta.url));
  try {
    cpSync(folder, dir, { recursive: true });
    writeFileSync(join(dir, name), text);
    execFileSync(tsc, ['-p', dir], { encoding: 'utf8', timeout: 100_000 });
    return '';
  } catch (error) {
    return String((error as { stdout?: string }).stdout ?? error);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test('the types in the template are those that the miner itself uses', () => {
  const own = readFileSync(new URL('../domain/hooks.ts', import.meta.url), 'utf8');
  if (process.env.UPDATE_GOLDEN) writeFileSync(join(folder, 'hooks.ts'), own);
  assert.is(read('hooks.ts'), own, 'copy controller/src/domain/hooks.ts into cluster-repo-template/strategy');
});

test('the example is accepted by tsc with the tsconfig beside it, and a mistake is not', () => {
  assert.is(complaints('strategy.ts', read('strategy.example.ts')), '');
  const mistake = "import type { Score } from './hooks.ts';\nexport const score: Score = ({ chute }) => chute.prize;\n";
  assert.match(complaints('strategy.ts', mistake), /strategy\.ts.*Property 'prize' does not exist/);
});

test('the example runs', async () => {
  const strategist = createStrategist({ clock: Date });
  const file = { path: 'strategy/strategy.ts', text: read('strategy.example.ts'), id: 'example' };
  const cheap = question.servers.map((server) => ({ ...server, leavingAt: question.now + 1 }));
  const advised = await strategist.advise(file, () => ({ ...question, servers: cheap }));
  strategist.close();
  assert.is(advised?.held, undefined);
  const { place, veto } = advised?.advice.offers.get('chute-1') ?? {};
  assert.equal([...(place ?? [])], [['a', 1.05]]);
  assert.equal([...(veto?.keys() ?? [])], ['a', 'b', 'c']);
});

test.run();

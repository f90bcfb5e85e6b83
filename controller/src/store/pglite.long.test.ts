import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { epoch, makeServer } from './contract/fixtures.ts';
import { rejection } from './contract/world.ts';
import { openStore } from './open.ts';

const folder = mkdtempSync(join(tmpdir(), 'miner-pglite-'));
const writer = fileURLToPath(new URL('./contract/writer.ts', import.meta.url));
const children = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Writer {
  child: ChildProcess;
  acknowledged: string[];
  /** Resolves when so many rows are acknowledged. */
  reached(count: number): Promise<void>;
  kill(): Promise<void>;
}

function startWriter(dir: string, first: number): Writer {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', writer, dir, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  const acknowledged: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => acknowledged.push(line));
  return {
    child,
    acknowledged,
    reached: async (count) => {
      while (acknowledged.length < count && child.exitCode === null) await sleep(5);
      assert.ok(acknowledged.length >= count, 'the writer ended');
    },
    kill: async () => {
      child.kill('SIGKILL');
      await Promise.all([once(lines, 'close'), once(child, 'exit')]);
      children.delete(child);
    },
  };
}

test('no acknowledged row is lost when the process is killed in the middle of a write, again and again', async () => {
  const dir = join(folder, 'killed');
  const acknowledged: string[] = [];
  for (const count of [1, 40, 97]) {
    const running = startWriter(dir, 1 + 1000 * acknowledged.length);
    await running.reached(count);
    await running.kill();
    acknowledged.push(...running.acknowledged);
  }
  const store = await openStore({ dir });
  const committed = (await store.lifecycles())
    .filter((row) => row.committedAt === epoch)
    .map((row) => row.deploymentId);
  const decided = (await store.decisions(100_000)).map((row) => row.decision.spec.deploymentId);
  assert.equal(await store.servers(), [makeServer(1)]);
  assert.equal(
    acknowledged.filter((id) => !committed.includes(id)),
    [],
  );
  assert.equal(
    acknowledged.filter((id) => !decided.includes(id)),
    [],
  );
  await store.close();
});

test('a first start that was killed at any moment does not keep the next one from starting', async () => {
  const dir = join(folder, 'first-start');
  const seen = new Set<string>();
  for (const moment of ['.lock', '.new', '.new/base', '']) {
    for (const path of ['', '.new', '.lock']) rmSync(dir + path, { recursive: true, force: true });
    const running = startWriter(dir, 1);
    while (!existsSync(dir + moment) && running.child.exitCode === null) await sleep(1);
    await running.kill();
    seen.add(existsSync(dir) ? 'made' : 'unfinished');
    const store = await openStore({ dir });
    assert.ok((await store.servers()).length <= 1);
    await store.close();
    assert.not.ok(existsSync(`${dir}.new`));
  }
  assert.equal(seen, new Set(['unfinished', 'made']));
});

test('a folder in use by another process is refused, and taken over when that was killed', async () => {
  const dir = join(folder, 'shared');
  const running = startWriter(dir, 1);
  await running.reached(1);
  const error = await rejection(openStore({ dir }));
  assert.is(error.code, 'E-IN-USE');
  assert.equal(error.detail, { pid: running.child.pid });
  await running.kill();
  const store = await openStore({ dir });
  assert.is((await rejection(openStore({ dir }))).code, 'E-IN-USE');
  await store.close();
  await (await openStore({ dir })).close();
});

test('an empty folder becomes a store; one that holds something else is refused and left alone', async () => {
  const empty = join(folder, 'deep', 'empty');
  mkdirSync(empty, { recursive: true });
  await (await openStore({ dir: empty })).close();
  const other = join(folder, 'other');
  mkdirSync(other);
  writeFileSync(join(other, 'notes.txt'), 'mine');
  const error = await rejection(openStore({ dir: other }));
  assert.is(error.code, 'E-STORE');
  assert.match(error.message, other);
  assert.equal(readdirSync(other), ['notes.txt']);
  assert.not.ok(existsSync(`${other}.lock`));
});

test.run();

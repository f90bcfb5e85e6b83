import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { rejection } from './contract/world.ts';
import { takeLock } from './lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'miner-lock-'));
const path = join(folder, 'store.lock');
const deadPid = spawnSync(process.execPath, ['-e', '']).pid;

function leaveClaim(name: string): string {
  mkdirSync(path);
  writeFileSync(join(path, name), '');
  return name;
}

test.before.each(() => rmSync(path, { recursive: true, force: true }));
test.after(() => rmSync(folder, { recursive: true, force: true }));

test('a lock that is held is refused with the pid of its holder, and free again after its release', async () => {
  const release = await takeLock(path);
  const error = await rejection(takeLock(path));
  assert.is(error.code, 'E-IN-USE');
  assert.equal(error.detail, { pid: process.pid });
  assert.is(error.message, `${join(folder, 'store')} is in use by process ${process.pid}`);
  await release();
  assert.not.ok(existsSync(path));
  await (await takeLock(path))();
});

test('of many who come at once exactly one gets the lock, and the others leave no claim', async () => {
  for (let round = 0; round < 5; round++) {
    const results = await Promise.allSettled(Array.from({ length: 12 }, () => takeLock(path)));
    const winners = results.filter((result) => result.status === 'fulfilled');
    assert.is(winners.length, 1);
    assert.is(readdirSync(path).length, 1);
    await winners[0]?.value();
    assert.not.ok(existsSync(path));
  }
});

test('the claim of another running process is respected and left alone', async () => {
  const name = leaveClaim(`${process.ppid}--${randomUUID()}`);
  assert.equal((await rejection(takeLock(path))).detail, { pid: process.ppid });
  assert.equal(readdirSync(path), [name]);
});

const onLinux = {
  'of an earlier process with our pid': `${process.pid}-1-${randomUUID()}`,
  'whose pid now belongs to another process': `${process.ppid}-1-${randomUUID()}`,
};
const dead = {
  'of a process that ended': `${deadPid}--${randomUUID()}`,
  'of an earlier process with our pid, start unknown': `${process.pid}--${randomUUID()}`,
  // Only Linux tells when a process started.
  ...(process.platform === 'linux' && onLinux),
};
for (const [what, name] of Object.entries(dead)) {
  test(`a claim ${what} does not count and is removed`, async () => {
    leaveClaim(name);
    const release = await takeLock(path);
    assert.not.ok(readdirSync(path).includes(name));
    await release();
  });
}

if (process.platform === 'linux') {
  test('another thread of this process is respected', async () => {
    const started = readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1)?.split(' ')[19];
    leaveClaim(`${process.pid}-${started}-${randomUUID()}`);
    assert.equal((await rejection(takeLock(path))).detail, { pid: process.pid });
  });
}

test('a foreign file among the claims is neither counted nor removed', async () => {
  leaveClaim('notes.txt');
  await (await takeLock(path))();
  assert.equal(readdirSync(path), ['notes.txt']);
});

test.run();

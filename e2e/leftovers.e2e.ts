// Nothing of a cluster outlives the process that started it.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAlive } from './cluster/lock.ts';
import { startProcess, waitFor } from './cluster/process.ts';

test('what a killed harness has started is killed with it', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'leftovers-'));
  const module = pathToFileURL(join(import.meta.dirname, 'cluster/process.ts')).href;
  const options = JSON.stringify({ name: 'one', command: 'sleep', args: ['600'], logFile: join(dir, 'log') });
  const program = `const { startProcess } = await import('${module}');
    console.log(startProcess(${options}).pid()); setInterval(() => undefined, 1000);`;
  const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program];
  const harness = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  const text: string = await new Promise((resolve) => harness.stdout.once('data', (chunk) => resolve(String(chunk))));
  const pid = Number(text);
  assert.ok(isAlive(pid));
  harness.kill('SIGKILL');
  await waitFor('the child is gone', () => !isAlive(pid), { timeoutMs: 20_000 });
  rmSync(dir, { recursive: true, force: true });
});

test('a program that is held can go on, and one that ended by itself can be started again', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'leftovers-'));
  const one = startProcess({ name: 'one', command: 'sleep', args: ['600'], logFile: join(dir, 'log') });
  const stateOf = () => execFileSync('ps', ['-o', 'state=', '-p', String(one.pid())], { encoding: 'utf8' }).trim();
  one.pause();
  await waitFor('it is held', () => stateOf() === 'T');
  one.resume();
  await waitFor('it goes on', () => stateOf() !== 'T');
  process.kill(one.pid() ?? 0, 'SIGKILL');
  await waitFor('it is noticed', () => one.pid() === undefined);
  one.start();
  assert.ok(isAlive(one.pid() ?? 0));
  await one.stop();
  assert.is(one.pid(), undefined);
  rmSync(dir, { recursive: true, force: true });
});

test.run();

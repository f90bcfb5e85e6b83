// Whatever happens to the tests, the machine they ran on is as before.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { waitFor } from '../cluster/process.ts';
import { cable, cgroup, folder, startMachine } from './machine.ts';

/** Command lines of processes that belong to a node. */
function processes(): string[] {
  const read = (file: string) => {
    try {
      return readFileSync(file, 'utf8').replaceAll('\0', ' ');
    } catch {
      // Gone meanwhile.
      return '';
    }
  };
  return globSync('/proc/[0-9]*/cmdline')
    .map(read)
    .filter((line) => line.includes(folder));
}

async function abandoned(): Promise<ChildProcess> {
  const program = fileURLToPath(new URL('abandoned.ts', import.meta.url));
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  createInterface(child.stdout).on('line', (line) => line === 'up' && resolve());
  child.once('close', (code) => reject(new Error(`ended with ${code}`)));
  await promise;
  return child;
}

test('after the tests were killed no process, mount, network or rule is left, and the next start removes the rest', async () => {
  const traces = () => ({
    mounts: readFileSync('/proc/self/mounts', 'utf8'),
    rules: execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }),
  });
  const before = traces();
  const child = await abandoned();
  assert.ok(
    processes().some((line) => line.includes('containerd-shim')),
    'a container ran',
  );
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await ended;
  await waitFor('its processes are gone', () => processes().length === 0);
  await waitFor('its network is gone', () => !existsSync(`/sys/class/net/${cable}`));
  assert.equal(traces(), before);
  const machine = await startMachine([]);
  assert.not(existsSync(`${folder}/plane`), 'a new one starts with nothing');
  await machine.stop();
  assert.not(existsSync(folder));
  assert.equal(globSync(`/sys/fs/cgroup/*/${cgroup}`), []);
});

test.run();

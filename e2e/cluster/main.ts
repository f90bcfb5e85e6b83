// `npm run cluster:up | cluster:down | cluster:status`: the test cluster in the background, for whoever wants to look at it or to try
// something on it.

import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { isAlive } from './lock.ts';
import { type ClusterState, defaultFolder, readState } from './state.ts';

const usage = `Usage: npm run cluster:up     [-- --servers N] [--dir FOLDER]   start it; the programs are built when they are not there
       npm run cluster:status [-- -o json] [--dir FOLDER]
       npm run cluster:down   [-- --dir FOLDER]                end it, and whatever a broken one has left`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dir: { type: 'string', default: defaultFolder() },
    servers: { type: 'string', default: '2' },
    output: { type: 'string', short: 'o', default: 'table' },
    help: { type: 'boolean', default: false },
  },
});
const { dir } = values;
const startTimeoutMs = 45 * 60_000;
const stopTimeoutMs = 60_000;

function print(state: ClusterState | undefined): void {
  if (values.output === 'json') {
    console.log(JSON.stringify(state ?? { parts: [] }));
    return;
  }
  if (!state) {
    console.log(`no cluster runs in ${dir}`);
    return;
  }
  const table = new Table({ head: ['part', 'state', 'pid', 'address'], style: { head: [] } });
  for (const { name, pid, address } of state.parts)
    table.push([name, pid !== null && isAlive(pid) ? 'up' : 'down', pid ?? '', address]);
  console.log(table.toString());
  for (const [name, file] of Object.entries(state.kubeconfigs)) console.log(`KUBECONFIG=${file}   # ${name}`);
}

/** A folder that holds something else is not ours to remove. */
function clear(): void {
  if (existsSync(dir) && readdirSync(dir).length > 0 && !existsSync(join(dir, 'cluster.log')))
    throw new Error(`${dir} holds something else than a cluster; choose another --dir`);
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}

async function up(): Promise<number> {
  const running = readState(dir);
  if (running) {
    print(running);
    return 0;
  }
  clear();
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const logFile = join(dir, 'cluster.log');
  const log = openSync(logFile, 'a');
  const args = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'daemon.ts'), '--dir', dir];
  const child = spawn(process.execPath, [...args, '--servers', values.servers], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  let shown = 0;
  for (const deadline = Date.now() + startTimeoutMs; Date.now() < deadline; await sleep(250)) {
    const text = readFileSync(logFile, 'utf8');
    process.stdout.write(text.slice(shown));
    shown = text.length;
    if (/^ready$/m.test(text)) {
      print(readState(dir));
      return 0;
    }
    if (child.exitCode !== null || (child.pid !== undefined && !isAlive(child.pid))) return 1;
  }
  child.kill('SIGTERM');
  console.error(`it was not up in time; ${logFile} has what it said`);
  return 1;
}

async function down(): Promise<number> {
  const state = readState(dir);
  if (state) {
    process.kill(state.pid, 'SIGTERM');
    for (const deadline = Date.now() + stopTimeoutMs; isAlive(state.pid) && Date.now() < deadline; ) await sleep(100);
    // Its children get SIGKILL from the kernel then.
    if (isAlive(state.pid)) process.kill(state.pid, 'SIGKILL');
  }
  clear();
  console.log(state ? 'the cluster is down' : `no cluster runs in ${dir}`);
  return 0;
}

const commands: Record<string, () => Promise<number>> = {
  up,
  down,
  async status() {
    const state = readState(dir);
    print(state);
    return state ? 0 : 1;
  },
};
const command = commands[positionals[0] ?? ''];
if (!command || values.help) {
  console.log(usage);
  process.exit(values.help ? 0 : 2);
}
process.exit(await command());

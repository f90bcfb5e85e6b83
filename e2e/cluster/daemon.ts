// The process that a started cluster lives in: everything it started dies with it, by SIGTERM in order and by SIGKILL at once.

import { parseArgs } from 'node:util';
import { startFleet } from './fleet.ts';
import type { Process } from './process.ts';
import { writeState } from './state.ts';
import { ensureTools } from './tools.ts';

const { values } = parseArgs({
  options: { dir: { type: 'string', default: '' }, servers: { type: 'string', default: '2' } },
});
const { dir } = values;
const tell = (line: string) => console.log(line);

let stop = async (): Promise<void> => undefined;
let stopping = false;
async function end(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  await stop();
  process.exit(code);
}
process.on('SIGTERM', () => void end(0)).on('SIGINT', () => void end(0));

try {
  const tools = await ensureTools({ tell });
  const fleet = await startFleet({ dir, tools, servers: Number(values.servers), tell });
  stop = fleet.stop;
  const { control, argocd, git, postgres, redis, validator, servers } = fleet;
  const part = (one: Process, address = '') => ({ name: one.name, pid: one.pid() ?? null, address, log: one.logFile });
  const addressOf = (name: string): string => {
    if (name === 'argocd/server') return argocd.url ?? '';
    return (
      [control, ...servers.map(({ plane }) => plane)].find((one) => name === `${one.name}/kube-apiserver`)?.url ?? ''
    );
  };
  const within = (name: string, address: string) => ({ name, pid: process.pid, address, log: '' });
  const redisUrl = new URL(redis.url);
  redisUrl.password = fleet.redisPassword;
  writeState({
    pid: process.pid,
    dir,
    parts: [
      ...fleet.processes().map((one) => part(one, addressOf(one.name))),
      within('git', git.url.replace('://', `://${git.credential}@`)),
      within('postgres', postgres.url),
      within('redis', redisUrl.href),
      within('validator', validator.url),
      within('hotkey', fleet.hotkeyFile),
    ],
    kubeconfigs: Object.fromEntries(
      [control, ...servers.map(({ plane }) => plane)].map((plane) => [plane.name, plane.adminKubeconfig]),
    ),
  });
  tell('ready');
  // Its own children do not keep it alive.
  setInterval(() => undefined, 2 ** 30);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  await end(1);
}

// A machine of its own for one GPU server, out of namespaces: its processes, mounts and network hang on one process that dies with ours,
// and with it all that containerd, kubelet and CNI left in them. Only control groups outlive it; they are removed at the next start.

import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withFileLock } from '../cluster/lock.ts';
import { type Process, startProcess, waitFor } from '../cluster/process.ts';

/**
 * Of a network for documentation, which no policy takes for a private one: this side is the world, the other one the server. Four addresses
 * only, since the machine that the tests run on may reach others of that network.
 */
export const world = '198.51.100.1';
export const address = '198.51.100.2';
/** The same cable as a private network: what a neighbour in the data centre has. */
export const neighbour = '10.254.99.1';
export const privateAddress = '10.254.99.2';

export const folder = '/tmp/chutes-node';
export const cable = 'chutes-node0';
/** Of the kubelet, below each hierarchy. */
export const cgroup = 'chutes-node';
const hierarchies = '/sys/fs/cgroup';
/** Removing a network takes the kernel a moment. */
const settleMs = 30_000;

export interface Machine {
  readonly dir: string;
  /** Put before a command to run it on the machine. */
  readonly inside: readonly string[];
  /** Runs on the machine; standard output. Rejects with what it said when it fails. */
  run(command: string, args: readonly string[], input?: string): Promise<string>;
  /** Everything on it ends; its files go. */
  stop(): Promise<void>;
}

function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Not at once: what it calls may be served by this very process. */
async function output(command: string, args: readonly string[], input: string): Promise<string> {
  const running = promisify(execFile)(command, args);
  // What asks for no input may be gone before it is offered.
  running.child.stdin?.on('error', () => undefined).end(input);
  return (await running).stdout;
}

function removeCgroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(path, entry.name));
  rmdirSync(path);
}

function cgroups(): string[] {
  const found = [hierarchies, ...readdirSync(hierarchies).map((one) => join(hierarchies, one))];
  return found.map((one) => join(one, cgroup)).filter((one) => existsSync(one));
}

/** What an earlier machine left, whose processes are gone. */
async function sweep(): Promise<void> {
  const rest = () => {
    for (const one of cgroups()) removeCgroup(one);
    rmSync(folder, { recursive: true, force: true });
    return !existsSync(join('/sys/class/net', cable));
  };
  await waitFor('what an earlier run left is gone', rest, { timeoutMs: settleMs, everyMs: 200 });
}

function makeCgroups(): void {
  for (const name of readdirSync(hierarchies)) {
    const hierarchy = join(hierarchies, name);
    // A link is another name of one that is there; version 2 beside version 1 is not the kubelet's.
    if (name === 'unified' || !existsSync(join(hierarchy, 'cgroup.procs'))) continue;
    const made = join(hierarchy, cgroup);
    mkdirSync(made, { recursive: true });
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      if (existsSync(join(made, file))) writeFileSync(join(made, file), readFileSync(join(hierarchy, file)));
  }
}

/** Folders that programs write to wherever they are told to run: on top of the machine's own, seen by nobody else. */
const init = `set -e
cd "$1"
mount --make-rshared /
for name in etc var; do
  mkdir -p over/$name over/$name.work
  mount -t overlay overlay -o lowerdir=/$name,upperdir=over/$name,workdir=over/$name.work /$name
done
mount -t tmpfs tmpfs /run
mkdir /run/lock
cp hosts /etc/hosts
echo 1 >/proc/sys/net/ipv4/ip_forward
touch up
sleep infinity & wait`;

function childOf(pid: number | undefined): number | undefined {
  const text = pid === undefined ? '' : readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return Number(text.split(' ')[0]) || undefined;
}

function connect(pid: number): void {
  run('ip', ['link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid)]);
  for (const one of [world, neighbour]) run('ip', ['addr', 'add', `${one}/30`, 'dev', cable]);
  run('ip', ['link', 'set', cable, 'up']);
  const inside = (...args: string[]) => run('nsenter', ['-t', String(pid), '-n', 'ip', ...args]);
  inside('link', 'set', 'lo', 'up');
  for (const one of [address, privateAddress]) inside('addr', 'add', `${one}/30`, 'dev', 'eth0');
  inside('link', 'set', 'eth0', 'up');
  inside('route', 'add', 'default', 'via', world);
}

/** `hosts`: lines of its /etc/hosts. There is one at a time: who comes second waits. */
export async function startMachine(hosts: readonly string[]): Promise<Machine> {
  const held = Promise.withResolvers<void>();
  const taken = Promise.withResolvers<void>();
  const lock = withFileLock(`${folder}.lock`, () => {
    taken.resolve();
    return held.promise;
  });
  await taken.promise;
  let first: Process | undefined;

  async function stop(): Promise<void> {
    await first?.kill();
    await sweep();
    held.resolve();
    await lock;
  }

  try {
    await sweep();
    mkdirSync(folder, { mode: 0o700 });
    makeCgroups();
    writeFileSync(join(folder, 'hosts'), `127.0.0.1 localhost\n${hosts.join('\n')}\n`);
    const namespaces = ['--mount', '--net', '--pid', '--uts', '--ipc', '--fork', '--kill-child=KILL', '--mount-proc'];
    const started = startProcess({
      name: 'machine',
      command: 'unshare',
      args: [...namespaces, 'sh', '-c', init, 'init', folder],
      logFile: join(folder, 'machine.log'),
    });
    first = started;
    await waitFor('the machine is up', () => existsSync(join(folder, 'up')), { of: started });
    const pid = await waitFor('the first process of the machine', () => childOf(started.pid()), { of: started });
    connect(pid);
    const inside = ['nsenter', '-t', String(pid), '--mount', '--net', '--pid', '--uts', '--ipc', '--wd=/', '--'];
    return {
      dir: folder,
      // The one that enters stays outside and waits; what it started is not to outlive it.
      inside: [...inside, 'setpriv', '--pdeathsig', 'KILL', '--'],
      run: (command, args, input = '') => output('nsenter', [...inside.slice(1), command, ...args], input),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

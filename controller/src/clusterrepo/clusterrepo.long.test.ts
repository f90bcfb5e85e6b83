import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { renderChute } from '@miner/manifests/charts/chute.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decision } from '../domain/decision.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { MinerError } from '../domain/errors.ts';
import type { ClusterRepo } from '../domain/ports.ts';
import { openClusterRepo } from './clusterrepo.ts';
import { deploy, remove } from './testing/fixture.ts';
import { git, makeTestDir, optionsFor, specAt } from './testing/testrepo.ts';

const run = promisify(execFile);
const commitsEach = 100;
const slots = 8;

type Decide = (deployments: ReadonlyMap<string, DeploymentSpec>) => Decision[];

/** Decide again on what is there now until it is committed, as the planner does. */
async function commitSoon(repo: ClusterRepo, decide: Decide): Promise<void> {
  const { commit: configCommit } = await repo.readMain();
  for (;;) {
    const { commit: base, deployments } = await repo.readLive();
    try {
      await repo.commitLive({ decisions: decide(deployments), configCommit, base });
      return;
    } catch (error) {
      if (!(error instanceof MinerError && error.code === 'E-GIT-CONFLICT')) throw error;
    }
  }
}

/** Child process: commits one deployment after the other, with pauses in which the other writer gets its turn. */
async function writeSlowly(dir: string): Promise<void> {
  const repo = await openClusterRepo(optionsFor(dir));
  for (let i = 0; i < commitsEach; i++) {
    await commitSoon(repo, () => [deploy(specAt(1 + Math.floor(i / slots), i % slots))]);
    await sleep(Math.random() * 300);
  }
}

/** Child process: fills and empties servers as fast as it can, in small and large batches, until it is killed. A line when it is ready and after each commit. */
async function writeWildly(dir: string): Promise<void> {
  const locks = { staleMs: 100, waitMs: 5_000 };
  const repo = await openClusterRepo({ ...optionsFor(dir), render: renderChute, locks });
  process.stdout.write('ready\n');
  for (let round = 0; ; round++) {
    const servers = round % 8 === 7 ? 6 : 1;
    const first = 1 + Math.floor(Math.random() * 20);
    const specs = Array.from({ length: servers * slots }, (_, i) => specAt(first + Math.floor(i / slots), i % slots));
    await commitSoon(repo, (deployments) =>
      specs.map((spec) => (deployments.has(spec.deploymentId) ? remove(spec) : deploy(spec))),
    );
    process.stdout.write('committed\n');
  }
}

function start(role: string, dir: string): ChildProcess {
  return spawn(process.execPath, [import.meta.filename, role, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  return new Promise((resolve) => child.once('exit', resolve));
}

async function pushNotes(clone: string): Promise<number> {
  let refused = 0;
  const inClone = (...args: string[]) => run('git', ['-C', clone, ...args], { timeout: 30_000 });
  for (let i = 0; i < commitsEach; i++) {
    writeFileSync(join(clone, `note-${i}.txt`), `note ${i}\n`);
    await inClone('add', '.');
    await inClone('commit', '--quiet', '-m', `note ${i}`);
    while (
      !(await inClone('push', '--quiet', 'origin', 'live').then(
        () => true,
        () => false,
      ))
    ) {
      refused++;
      await inClone('pull', '--quiet', '--rebase', 'origin', 'live');
    }
  }
  return refused;
}

test('two hundred commits by git push and by this module lose nothing', async () => {
  const { dir, gitdir, remove: clean } = makeTestDir();
  const repo = await openClusterRepo(optionsFor(dir));
  const clone = join(dir, 'clone');
  git(dir, 'clone', '--quiet', '--branch', 'live', `file://${gitdir}`, clone);
  git(clone, 'config', 'user.name', 'Test');
  git(clone, 'config', 'user.email', 'test@localhost');
  const writer = start('slowly', dir);
  const refused = await pushNotes(clone);
  assert.is(await exitOf(writer), 0);
  assert.ok(refused > 0, 'the two writers never met');
  const subjects = git(gitdir, 'log', '--format=%s', 'live').split('\n');
  assert.is(subjects.filter((subject) => subject.startsWith('note ')).length, commitsEach);
  assert.is(subjects.filter((subject) => subject.startsWith('deploy ')).length, commitsEach);
  assert.is(git(gitdir, 'rev-list', '--count', '--merges', 'live'), '0');
  const files = git(gitdir, 'ls-tree', '-r', '--name-only', 'live').split('\n');
  assert.is(files.filter((file) => file.startsWith('note-')).length, commitsEach);
  assert.is((await repo.readLive()).deployments.size, commitsEach);
  assert.is(git(gitdir, 'fsck', '--strict', '--full', '--no-dangling'), '');
  clean();
});

test('a writer killed at any moment leaves a valid repository that the next one goes on with', async () => {
  const { dir, gitdir, remove: clean } = makeTestDir();
  let grown = 0;
  for (let round = 0; round < 14; round++) {
    const child = start('wildly', dir);
    // The first ones die while the repository is being made, the others at work.
    if (round < 4) await sleep(200 + Math.random() * 400);
    else
      for (let lines = round % 3; lines >= 0; lines--)
        await new Promise((resolve) => child.stdout?.once('data', resolve));
    await sleep(round < 4 ? 0 : Math.random() * 300);
    child.kill('SIGKILL');
    await exitOf(child);
    if (!existsSync(join(gitdir, 'refs', 'heads', 'live'))) continue;
    assert.is(git(gitdir, 'fsck', '--strict', '--full', '--no-dangling'), '', `round ${round}`);
    grown = Number(git(gitdir, 'rev-list', '--count', 'live'));
  }
  assert.ok(grown > 1, `only ${grown} commits were made between the kills`);
  await sleep(150);
  const bad: string[] = [];
  const repo = await openClusterRepo({
    ...optionsFor(dir),
    locks: { staleMs: 100, waitMs: 5_000 },
    onBadFile: (path) => bad.push(path),
  });
  await commitSoon(repo, () => [deploy(specAt(90, 0))]);
  const { deployments } = await repo.readLive();
  assert.ok(deployments.has(specAt(90, 0).deploymentId));
  assert.equal(bad, []);
  assert.equal(readdirSync(join(gitdir, 'refs', 'heads')).sort(), ['live', 'main']);
  clean();
});

const [, , role, dir] = process.argv;
if (role === 'slowly' && dir) await writeSlowly(dir);
else if (role === 'wildly' && dir) await writeWildly(dir);
else test.run();

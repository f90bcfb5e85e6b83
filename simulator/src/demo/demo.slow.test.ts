// The whole chain as a user runs it: validator event → decision → commit on live → applied → pod → claimed → active → seen by the miner.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAllDocuments } from 'yaml';
import type { Report } from './report.ts';
import { isGone, type Line, startDemo } from './testing.ts';

const demo = suite('demo');
const folders: string[] = [];

function newFolder(): string {
  const folder = join(mkdtempSync(join(tmpdir(), 'demo-')), 'run');
  folders.push(folder);
  return folder;
}

demo.after(() => {
  for (const folder of folders) rmSync(join(folder, '..'), { recursive: true, force: true });
});

function git(repository: string, ...args: string[]): string {
  return execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8', maxBuffer: 2 ** 28 });
}

type Summary = Line & Report & { repository: string };

function summaryOf(lines: readonly Line[]): Summary {
  const last = lines.at(-1);
  assert.is(last?.type, 'summary');
  return last as Summary;
}

interface Manifest {
  kind: string;
  metadata: { name: string; labels: Record<string, string>; annotations?: Record<string, string> };
  spec?: { ports?: { nodePort: number }[] };
}

/** Every manifest of a deployment on `live`, by path. */
function liveManifests(repository: string): Map<string, Manifest[]> {
  const paths = git(repository, 'ls-tree', '-r', '--name-only', 'live', 'chutes').trim().split('\n').filter(Boolean);
  return new Map(
    paths.map((path) => [path, parseAllDocuments(git(repository, 'show', `live:${path}`)).map((doc) => doc.toJS())]),
  );
}

function assertNothingTwice(repository: string): void {
  const gpus = new Set<string>();
  const ports = new Set<string>();
  for (const [path, manifests] of liveManifests(repository)) {
    const server = path.split('/')[1];
    for (const { kind, metadata, spec } of manifests) {
      if (kind === 'Job') {
        for (const gpu of (metadata.annotations?.['chutes-miner.io/gpu-ids'] ?? '').split(',')) {
          assert.not(gpus.has(gpu), `GPU ${gpu} twice, second in ${path}`);
          gpus.add(gpu);
        }
      }
      for (const { nodePort } of spec?.ports ?? []) {
        assert.not(ports.has(`${server}:${nodePort}`), `port ${nodePort} twice on ${server}`);
        ports.add(`${server}:${nodePort}`);
      }
    }
  }
}

/** Content of all objects that any branch or reflog reaches. */
function wholeHistory(repository: string): string {
  return git(repository, 'log', '--all', '-p', '--no-color');
}

demo('a run ends with at least ten active deployments, no violation, and a history that explains itself', async () => {
  const folder = newFolder();
  const run = startDemo(['--for', '35s', '--dir', folder]);
  assert.is(await run.ended, 0, run.stderr());
  const [ready] = run.lines;
  assert.is(ready?.type, 'ready');
  const summary = summaryOf(run.lines);
  assert.ok(summary.deployments.active >= 10, `${summary.deployments.active} active`);
  assert.equal(summary.violationList, []);
  for (const step of ['token', 'secret', 'commit', 'run', 'claim', 'verify', 'activate', 'total'] as const) {
    assert.type(summary.coldStartP50[step], 'number', step);
  }
  assert.ok(summary.score > 0);

  const { repository } = summary;
  git(repository, 'fsck', '--strict');
  const commits = git(repository, 'log', '--format=%H', 'live').trim().split('\n').slice(0, -1);
  assert.is(commits.length, summary.commits);
  let decisions = 0;
  const main = new Set(git(repository, 'log', '--format=%H', 'main').trim().split('\n'));
  for (const commit of commits) {
    const trailers = git(repository, 'log', '-1', '--format=%(trailers:only,unfold)', commit).trim().split('\n');
    const of = (key: string) =>
      trailers.filter((line) => line.startsWith(`${key}: `)).map((line) => line.slice(key.length + 2));
    const count = of('Decision-Id').length;
    if (count === 0) assert.match(git(repository, 'log', '-1', '--format=%s', commit), /^render main /);
    for (const key of ['Chute-Id', 'Deployment-Id', 'Server', 'Reason']) assert.is(of(key).length, count, key);
    assert.ok(main.has(of('Config-Commit')[0] ?? ''), 'Config-Commit is a commit of main');
    decisions += count;
  }
  assert.is(decisions, summary.decisions);
  const paths = [...liveManifests(repository).keys()];
  for (const path of paths) assert.match(path, /^chutes\/gpu-[a-z0-9-]+\/[0-9a-f-]{36}\.yaml$/);
  assert.is(paths.length, summary.deployments.active + summary.deployments.starting);
  assertNothingTwice(repository);

  const secrets = [JSON.parse(readFileSync(join(folder, 'miner-hotkey'), 'utf8')).secretSeed.slice(2), 'eyJ'];
  const everything = wholeHistory(repository) + readFileSync(join(folder, 'miner.log'), 'utf8');
  for (const secret of secrets) assert.not(everything.includes(secret), 'a seed or token is in git or the log');
  const reasons = new Set(run.lines.filter((line) => line.type === 'decision').map((line) => line.reason));
  assert.ok(reasons.has('bounty'), `reasons: ${[...reasons]}`);
});

demo('kill -9 of the miner in mid-run loses no deployment and gives nothing out twice', async () => {
  const folder = newFolder();
  const run = startDemo(['--for', '40s', '--dir', folder]);
  const ready = await run.seen((line) => line.type === 'ready', 'ready line');
  const { miner } = ready.pids as { miner: number };
  const repository = String(ready.repository);
  // In the middle of the first launches, and once more when deployments are active.
  await run.seen((line) => line.type === 'decision', 'first decision');
  process.kill(miner, 'SIGKILL');
  await run.seen((line) => line.type === 'news' && /SIGKILL/.test(String(line.message)), 'restart');
  const active = (line: Line) => line.type === 'state' && (line.deployments as Report['deployments']).active >= 5;
  await run.seen(active, 'five active deployments');
  const before = new Set(git(repository, 'ls-tree', '-r', '--name-only', 'live').trim().split('\n'));
  assert.is(await run.ended, 0, run.stderr());
  const summary = summaryOf(run.lines);
  assert.equal(summary.violationList, []);
  assert.ok(summary.deployments.active >= 10, `${summary.deployments.active} active`);
  assertNothingTwice(repository);
  // What left git was removed by a decision that says why.
  const after = new Set(git(repository, 'ls-tree', '-r', '--name-only', 'live').trim().split('\n'));
  const log = git(repository, 'log', '--format=%B', 'live');
  for (const path of before) {
    const deploymentId = path.split('/').at(-1)?.replace('.yaml', '');
    if (!after.has(path))
      assert.is(log.split(`Deployment-Id: ${deploymentId}`).length - 1, 2, `${path} deployed once, removed once`);
  }
  for (const commit of git(repository, 'log', '--format=%H', 'live').trim().split('\n')) {
    const ids = git(repository, 'log', '-1', '--format=%(trailers:key=Deployment-Id,valueonly)', commit)
      .trim()
      .split('\n');
    assert.is(new Set(ids).size, ids.length, 'no deployment twice in a commit');
  }
});

demo('the whole demo may be killed and goes on in the same folder; meanwhile nobody else gets the folder', async () => {
  const folder = newFolder();
  const first = startDemo(['--for', '60s', '--dir', folder]);
  const ready = await first.seen((line) => line.type === 'ready', 'ready line');
  const active = (line: Line) => line.type === 'state' && (line.deployments as Report['deployments']).active >= 5;
  await first.seen(active, 'five active deployments');
  const rival = startDemo(['--for', '1s', '--dir', folder]);
  assert.is(await rival.ended, 2);
  assert.match(rival.stderr(), /E-IN-USE: .*process id/);
  first.kill('SIGKILL');
  await first.ended;
  const { miner } = ready.pids as { miner: number };
  assert.ok(await isGone(miner), 'the miner ends with the demo');
  const before = git(String(ready.repository), 'rev-parse', 'live').trim();

  const second = startDemo(['--for', '15s', '--dir', folder]);
  assert.is(await second.ended, 0, second.stderr());
  const summary = summaryOf(second.lines);
  assert.ok(summary.deployments.active >= 5, `${summary.deployments.active} active`);
  assert.equal(summary.violationList, []);
  git(summary.repository, 'merge-base', '--is-ancestor', before, 'live');
  assertNothingTwice(summary.repository);
});

demo('Ctrl-C ends it cleanly and leaves nothing running', async () => {
  const run = startDemo(['--no-servers', '--servers', '2', '--dir', newFolder()]);
  const ready = await run.seen((line) => line.type === 'ready', 'ready line');
  assert.is((ready.servers as unknown[]).length, 2);
  run.kill('SIGINT');
  assert.is(await run.ended, 0, run.stderr());
  assert.is(summaryOf(run.lines).deployments.active, 0, 'nothing is added without being asked');
  assert.ok(await isGone((ready.pids as { miner: number }).miner));
});

demo('a broken miner.yaml ends the start with code 2, names every problem, and writes nothing', async () => {
  const folder = newFolder();
  const prepared = startDemo(['--for', '1s', '--no-servers', '--dir', folder]);
  assert.is(await prepared.ended, 0, prepared.stderr());
  const template = join(folder, 'template', 'miner.yaml');
  writeFileSync(
    template,
    readFileSync(template, 'utf8').replace('mode: active', 'mode: activ\n  stuckLaunchMinute: 5'),
  );
  for (const made of ['repository.git', 'db']) rmSync(join(folder, made), { recursive: true, force: true });
  const main = new URL('../../../controller/src/main.ts', import.meta.url).pathname;
  const args = [
    'all',
    '--dir',
    folder,
    '--hotkey',
    join(folder, 'miner-hotkey'),
    '--template',
    join(folder, 'template'),
    '--port',
    '0',
  ];
  let failure: { status?: number; stderr?: string } = {};
  try {
    execFileSync(process.execPath, [main, ...args], { encoding: 'utf8', stdio: 'pipe', timeout: 20_000 });
  } catch (error) {
    failure = error as typeof failure;
  }
  assert.is(failure.status, 2);
  assert.match(failure.stderr ?? '', /E-CONFIG/);
  assert.match(failure.stderr ?? '', /miner\.yaml:\d+: policy\.mode: found "activ", allowed: "active", "paused"/);
  assert.match(failure.stderr ?? '', /miner\.yaml:\d+: policy\.stuckLaunchMinute: .*stuckLaunchMinutes/);
  assert.not(existsSync(join(folder, 'repository.git')), 'no repository was made');
  assert.not(existsSync(join(folder, 'db')), 'no database was made');
});

demo.run();

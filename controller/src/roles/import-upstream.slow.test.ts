import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startGitHost } from '../../test/githttp.ts';
import { startPostgres, type TestPostgres } from '../../test/postgres.ts';
import { serverFileText } from '../clusterrepo/serverfile.ts';
import { git } from '../clusterrepo/testing/testrepo.ts';
import { rejection } from '../store/contract/world.ts';
import { openStore } from '../store/open.ts';
import { makeUpstream, secrets } from '../store/upstream/fixture.ts';
import { importUpstream } from './import-upstream.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'miner-import-'));
const now = Date.UTC(2026, 5, 1);
const base = { 'disk-gb': '1000', 'dry-run': false };
let source: TestPostgres | undefined;
let targets = 0;

process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

function from(): string {
  if (!source) throw new Error('PostgreSQL did not start');
  return source.url;
}

async function admin(statement: string): Promise<void> {
  const client = postgres(from(), { max: 1 });
  await client.unsafe(statement).finally(() => client.end());
}

/** A new, empty database for `work`. */
async function withTarget(work: (to: string, dir: string) => Promise<void>): Promise<void> {
  const name = `target_${process.pid}_${++targets}`;
  await admin(`create database ${name}`);
  const url = new URL(from());
  url.pathname = `/${name}`;
  try {
    await work(url.href, join(folder, name));
  } finally {
    await admin(`drop database ${name} with (force)`);
  }
}

async function tablesOf(url: string): Promise<unknown[]> {
  const client = postgres(url, { max: 1 });
  const rows = await client`select 1 from pg_class where relnamespace not in ('pg_catalog'::regnamespace,
    'information_schema'::regnamespace, 'pg_toast'::regnamespace)`;
  await client.end();
  return [...rows];
}

test.before(async () => {
  source = await startPostgres();
  await makeUpstream(source.url, 'migrated');
});

test.after(() => source?.stop());

test('the servers become rows and files that say the same, and the table tells what was left and why', async () => {
  await withTarget(async (to, dir) => {
    const lines: string[] = [];
    await importUpstream({ ...base, from: from(), to, 'config-dir': dir }, {}, now, (line) => lines.push(line));
    assert.equal(readdirSync(join(dir, 'servers')), ['gpu-1.yaml', 'gpu-2.yaml']);
    const store = await openStore({ url: to });
    const servers = await store.servers();
    await store.close();
    for (const { name, validator, hourlyCost, gpuShortRef, agentApi = '', locked } of servers) {
      const path = join(dir, 'servers', `${name}.yaml`);
      const config = { name, validator, hourlyCost, gpuShortRef, agentApi, locked };
      assert.is(serverFileText(readFileSync(path, 'utf8'), config, path), undefined);
    }
    const text = lines.join('\n');
    for (const line of [/^server +4 +2 +2$/m, /^gpu +6 +4 +2$/m, /^deployment +5 +2 +3$/m, /^audit entry +6 +6 +0$/m])
      assert.match(text, line);
    assert.match(text, /^deployment +\S+66 +left +a stub: its launch was not finished$/m);
    assert.match(text, /^Written: the rows, and 2 files under /m);
  });
});

test('a dry run says what would be taken and writes nothing', async () => {
  await withTarget(async (to, dir) => {
    const lines: string[] = [];
    const values = { ...base, from: from(), to, 'config-dir': dir, 'dry-run': true };
    await importUpstream(values, {}, now, (line) => lines.push(line));
    assert.match(lines.join('\n'), /^server +4 +2 +2$/m);
    assert.is(lines.at(-1), 'Dry run: nothing was written.');
    assert.not.ok(existsSync(dir));
    assert.equal(await tablesOf(to), []);
  });
});

test('a file that a person wrote is not written over, and then nothing else is written either', async () => {
  await withTarget(async (to, dir) => {
    mkdirSync(join(dir, 'servers'), { recursive: true });
    writeFileSync(join(dir, 'servers', 'gpu-2.yaml'), 'name: mine\n');
    const run = importUpstream({ ...base, from: from(), to, 'config-dir': dir }, {}, now, () => undefined);
    const error = await rejection(run);
    assert.is(error.code, 'E-USAGE');
    assert.match(error.message, 'gpu-2.yaml');
    assert.equal(readdirSync(join(dir, 'servers')), ['gpu-2.yaml']);
    assert.equal(await tablesOf(to), []);
  });
});

test('with a git host the files are pushed to its main in one commit, and not over those of a person', async () => {
  const host = await startGitHost();
  const credential = join(folder, 'credential');
  writeFileSync(credential, `${host.credential}\n`);
  const values = { ...base, from: from(), 'git-url': host.url, 'git-credential-file': credential };
  const lines: string[] = [];
  try {
    await withTarget(async (to) => {
      await importUpstream({ ...values, to, 'dry-run': true }, {}, now, () => undefined);
      assert.is(git(host.gitdir, 'rev-list', '--count', 'main'), '1', 'the template alone');
      await importUpstream({ ...values, to }, {}, now, (line) => lines.push(line));
    });
    assert.match(
      lines.join('\n'),
      /^Written: the rows, and 2 files under servers\/ on branch main of the git host\.$/m,
    );
    assert.is(git(host.gitdir, 'log', '-1', '--format=%s', 'main'), 'Add 2 servers');
    assert.match(git(host.gitdir, 'ls-tree', '--name-only', 'main', 'servers/'), /gpu-1\.yaml\nservers\/gpu-2\.yaml/);
    await withTarget(async (to) => {
      await importUpstream({ ...values, to }, {}, now, () => undefined);
      assert.is(git(host.gitdir, 'rev-list', '--count', 'main'), '2', 'what is there already is kept');
    });
    const person = join(folder, 'person');
    git(folder, 'clone', '--quiet', '--branch', 'main', host.gitdir, person);
    const file = join(person, 'servers', 'gpu-1.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/hourlyCost: \S+/, 'hourlyCost: 77'));
    git(person, 'commit', '--quiet', '--all', '--message', 'dearer');
    git(person, 'push', '--quiet', 'origin', 'main');
    await withTarget(async (to) => {
      const error = await rejection(importUpstream({ ...values, to }, {}, now, () => undefined));
      assert.match(error.message, 'servers/gpu-1.yaml is on main and says something else; nothing was added');
      const store = await openStore({ url: to });
      assert.equal(await store.servers(), []);
      await store.close();
    });
  } finally {
    await host.stop();
  }
});

test('a folder and a git host together are refused, and so is neither', async () => {
  for (const values of [{}, { 'config-dir': folder, 'git-url': 'http://127.0.0.1:1/x.git' }]) {
    const run = importUpstream({ ...base, ...values, from: from(), to: from() }, {}, now, () => undefined);
    assert.match((await rejection(run)).message, 'either --config-dir or --git-url');
  }
});

test('a database URL that is missing is named', async () => {
  const run = importUpstream({ ...base, 'config-dir': folder }, { UPSTREAM_POSTGRESQL: from() }, now, () => undefined);
  assert.match((await rejection(run)).message, '--to, --to-file or variable POSTGRESQL is missing');
});

test('as a program it takes its databases from a file and a variable and tells no secret', async () => {
  await withTarget(async (to, dir) => {
    const file = join(folder, 'from-url');
    writeFileSync(file, `${from()}\n`);
    const args = [main, 'import-upstream', '--from-file', file, '--config-dir', dir, '--disk-gb', '2000'];
    const run = () =>
      spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000, env: { ...process.env, POSTGRESQL: to } });
    const done = run();
    assert.is(done.status, 0, done.stderr);
    assert.match(done.stdout, '2000 GB assumed');
    const again = run();
    assert.is(again.status, 2);
    assert.match(again.stderr, /^E-USAGE: the target is not empty/m);
    for (const secret of secrets)
      assert.not.match([done.stdout, done.stderr, again.stdout, again.stderr].join('\n'), secret);
    for (const name of readdirSync(join(dir, 'servers')))
      for (const secret of secrets) assert.not.match(readFileSync(join(dir, 'servers', name), 'utf8'), secret);
  });
});

test.run();

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openLedger } from '../cachecleaner/ledger.ts';
import { readLiveChutes } from '../cachecleaner/livechutes.ts';
import { idle, kb, makeTree, now, running, type Tree } from '../cachecleaner/testing/tree.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { role } from './cache-cleaner.ts';
import type { OptionValues } from './role.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

function start(args: string[], env: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, 'cache-cleaner', ...args], {
    env: { PATH: process.env.PATH, ...env },
  });
}

interface Ended {
  code: string | number;
  out: string;
  err: string;
}

async function runProcess(args: string[], env: Record<string, string>): Promise<Ended> {
  const child = start(args, env);
  const { stdout, stderr } = child;
  assert.ok(stdout && stderr);
  const [out, err, [code]] = await Promise.all([stdout.toArray(), stderr.toArray(), once(child, 'close')]);
  return { code, out: out.join(''), err: err.join('') };
}

/** In this process; `code` is that of the error, 0 without one. */
async function run(args: string[]): Promise<Ended> {
  const { log, error: complain } = console;
  const ended: Ended = { code: 0, out: '', err: '' };
  console.log = (line: string) => {
    ended.out += line;
  };
  console.error = (line: string) => {
    ended.err += line;
  };
  try {
    await role.start(parseArgs({ args, options: role.options }).values as OptionValues);
  } catch (error) {
    ended.code = error instanceof MinerError ? error.code : 1;
    ended.err = messageOf(error);
  } finally {
    Object.assign(console, { log, error: complain });
  }
  return ended;
}

function scene(name: string, body: (tree: Tree) => Promise<unknown>): void {
  test(name, async () => {
    const tree = makeTree();
    try {
      tree.model(running, 'org/running', 8 * kb, 4000);
      tree.model(idle, 'org/old', 8 * kb, 4000);
      await body(tree);
    } finally {
      tree.remove();
    }
  });
}

const oldModel = [idle, 'hub', 'models--org--old'];
const runningModel = [running, 'hub', 'models--org--running'];

function pod(chuteId: string, phase: string): object {
  return { metadata: { name: `chute-${phase}`, labels: { 'chutes/chute-id': chuteId } }, status: { phase } };
}

const podList = { kind: 'PodList', metadata: {}, items: [pod(running, 'Pending'), pod(idle, 'Succeeded')] };

/** An API server that gives `body` with `status`, and a kubeconfig for it. */
async function withCluster(
  tree: Tree,
  status: number,
  body: object,
  use: (kubeconfig: string) => Promise<void>,
): Promise<void> {
  const server = createServer((_, response) => response.writeHead(status).end(JSON.stringify(body)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = join(tree.outside, 'kubeconfig');
  const named = {
    clusters: [{ name: 'c', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: {} }],
  };
  const contexts = [{ name: 'x', context: { cluster: 'c', user: 'u' } }];
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...named, contexts, 'current-context': 'x' }));
  try {
    await use(file);
  } finally {
    server.close();
  }
}

scene('on the node it asks the cluster: what has a pod stays, what ended may go', async (tree) => {
  await withCluster(tree, 200, podList, async (kubeconfig) => {
    const { code, out, err } = await run(['--root', tree.root, '--kubeconfig', kubeconfig, '-o', 'json']);
    assert.is(code, 0, err);
    const report = JSON.parse(out);
    assert.equal(
      report.removed.map((one: { name: string }) => one.name),
      ['org/old'],
    );
    assert.equal([tree.has(...oldModel), tree.has(...runningModel)], [false, true]);
  });
});

scene('a cluster that gives no full answer costs no model', async (tree) => {
  await withCluster(tree, 403, { kind: 'Status' }, async (kubeconfig) => {
    const { code, err } = await run(['--root', tree.root, '--kubeconfig', kubeconfig]);
    assert.is(code, 'E-CLUSTER');
    assert.match(err, /status 403/);
    assert.ok(tree.has(...oldModel));
  });
});

test('only a full list of pods that can all be read is an answer', async () => {
  const given = (body: object, status = 200) => readLiveChutes(async () => ({ status, body }));
  assert.equal(await given(podList), new Set([running]));
  const bad = [
    { ...podList, kind: 'List' },
    { ...podList, metadata: { continue: 'next' } },
    { ...podList, items: [pod('../..', 'Running')] },
    { ...podList, items: [{ metadata: { name: 'x' } }] },
  ];
  const answers = await Promise.allSettled([...bad.map((body) => given(body)), given(podList, 500)]);
  assert.equal(
    answers.map((one) => one.status === 'rejected' && one.reason.code),
    Array(5).fill('E-CLUSTER'),
  );
});

scene(
  'before a chute it goes by the environment of its Job and by the last look, and keeps the models of that chute',
  async (tree) => {
    const ledger = openLedger(tree.root);
    ledger.noteSeen(new Set([running]), now);
    ledger.close();
    const env = { HF_HOME: tree.root, CLEANUP_EXCLUDE: idle, CACHE_MAX_AGE_DAYS: '1', CACHE_MAX_SIZE_GB: '1' };
    const uid = String(process.getuid?.());
    const { code, out } = await runProcess(['--uid', uid], env);
    assert.is(code, 0);
    assert.match(out, /^cache: 0\.0 GB in 2 models; removed 0 \(0\.0 GB\); .*kept: 2 in use\n$/);
    const late = '40000000-0000-4000-8000-000000000000';
    await runProcess(['--uid', uid, '-o', 'json'], { ...env, CLEANUP_EXCLUDE: late });
    assert.ok(tree.has(late) && tree.has(...oldModel) && tree.has(...runningModel));
  },
);

scene('before a chute in a dry run it makes its folder and notes its start, and removes nothing', async (tree) => {
  const ledger = openLedger(tree.root);
  ledger.noteSeen(new Set([running]), now);
  ledger.close();
  const late = '40000000-0000-4000-8000-000000000000';
  const limits = { CACHE_MAX_AGE_DAYS: '1', CACHE_MAX_SIZE_GB: '1', CACHE_DRY_RUN: 'true' };
  const env = { HF_HOME: tree.root, CLEANUP_EXCLUDE: late, ...limits };
  const { code, out } = await runProcess(['--uid', String(process.getuid?.())], env);
  assert.is(code, 0);
  assert.match(out, /would remove 1 /);
  assert.ok(tree.has(late) && tree.has(...oldModel));
  const noted = openLedger(tree.root);
  assert.ok((noted.lastUsedOf(late) ?? 0) > now, 'a pass that removes would take it for one that ended');
  noted.close();
});

scene('a cache that cannot be cleaned does not keep a chute from starting', async (tree) => {
  writeFileSync(tree.at('.cache-cleaner'), '');
  const { code, err } = await run(['--root', tree.root, '--chute', idle, '--uid', String(process.getuid?.())]);
  assert.is(code, 0);
  assert.match(err, /^not cleaned: /);
});

test('a wrong option is refused before anything is touched, and the answer names what is allowed', async () => {
  const cases: [string[], RegExp][] = [
    [['--root', '/', '--in-use', ''], /--root: found \//],
    [['--root', '/usr', '--in-use', ''], /--adopt takes any folder/],
    [['--in-use', '', '--every', '6'], /--every: found "6"/],
    [['--chute', idle, '--every', '6h'], /exclude each other/],
    [['--chute', '../..'], /allowed: ids of chutes/],
    [['--in-use', '', '-o', 'yaml'], /allowed: text, json/],
    [['--in-use', '', '--max-size-gb', '0'], /--max-size-gb/],
    [[], /outside of a cluster/],
  ];
  for (const [args, message] of cases) {
    const { code, err } = await run(args);
    assert.is(code, 'E-USAGE', `${args}: ${err}`);
    assert.match(err, message);
  }
});

scene('with an interval it cleans again and again, and ends on SIGTERM', async (tree) => {
  const child = start(['--root', tree.root, '--in-use', running, '--every', '1s', '-o', 'json']);
  assert.ok(child.stdout);
  const counts: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    counts.push(JSON.parse(line).items);
    if (counts.length === 2) child.kill('SIGTERM');
  }
  assert.equal(counts.slice(0, 2), [2, 1]);
  assert.is(child.exitCode ?? (await once(child, 'exit'))[0], 0);
});

test.run();

// Kubeconfig files of people are merged into, never lost: locked, backed up, private, and conflicts refused.

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { conflicts, mergeKubeconfigs, parseKubeconfig } from './kubeconfig.ts';
import { prepare, type TestContext } from './testing/context.ts';
import { kubeconfig } from './testing/shapes.ts';

const test = suite<TestContext>('kubeconfig');
prepare(test);

const contextNames = (path: string) =>
  parse(readFileSync(path, 'utf8')).contexts.map(({ name }: { name: string }) => name);

test('a sync merges into the file, keeps the current context, backs up and is private', async ({
  cli,
  folder,
  upstream,
}) => {
  const path = join(folder, 'config');
  writeFileSync(path, JSON.stringify(kubeconfig('home')), { mode: 0o644 });
  upstream.on('GET /servers/kubeconfig', kubeconfig('gpu-0'));
  const { code, stdout } = await cli(`sync-kubeconfig --yes --path ${path}`);
  assert.is(code, 0);
  assert.match(stdout, /^✓ 1 context\(s\) written to .*\(previous file: .*config\.bak\)/);
  assert.equal(contextNames(path), ['home', 'gpu-0']);
  assert.is(parse(readFileSync(path, 'utf8'))['current-context'], 'home');
  assert.is(statSync(path).mode & 0o777, 0o600);
  assert.equal(JSON.parse(readFileSync(`${path}.bak`, 'utf8')), kubeconfig('home'));
  assert.is(statSync(`${path}.bak`).mode & 0o777, 0o600);
  assert.not(existsSync(`${path}.lock`));
});

test('a new file in a new folder gets the first context as current', async ({ cli, folder, upstream }) => {
  upstream.on('GET /servers/kubeconfig', kubeconfig('gpu-0'));
  assert.is((await cli('sync-kubeconfig -y')).code, 0);
  const path = join(folder, '.kube/chutes.config');
  assert.is(parse(readFileSync(path, 'utf8'))['current-context'], 'gpu-0');
  assert.is(statSync(path).mode & 0o777, 0o600);
});

test('--path wins over KUBECONFIG, and KUBECONFIG over the default', async ({ cli, folder, upstream }) => {
  upstream.on('GET /servers/kubeconfig', kubeconfig('gpu-0'));
  const [first, second] = [join(folder, 'first'), join(folder, 'second')];
  await cli(`sync-kubeconfig -y --path ${second}`, { env: { KUBECONFIG: `${first}:${folder}/other` } });
  assert.equal([existsSync(first), existsSync(second)], [false, true]);
  await cli('sync-kubeconfig -y', { env: { KUBECONFIG: `${first}:${folder}/other` } });
  assert.ok(existsSync(first));
});

test('an entry of the same name with other content is refused with 5, and taken with --overwrite', async ({
  cli,
  folder,
  upstream,
}) => {
  const path = join(folder, 'config');
  upstream.on('GET /servers/kubeconfig', kubeconfig('gpu-0'));
  await cli(`sync-kubeconfig -y --path ${path}`);
  assert.is((await cli(`sync-kubeconfig -y --path ${path}`)).code, 0, 'the same again is no conflict');
  const before = readFileSync(path, 'utf8');
  upstream.on('GET /servers/kubeconfig', kubeconfig('gpu-0', 'new-token'));
  const refused = await cli(`sync-kubeconfig -y --path ${path}`);
  assert.is(refused.code, 5);
  assert.match(refused.stderr, /same name: user gpu-0 \[E-KUBECONFIG\]\nhint: add --overwrite/);
  assert.is(readFileSync(path, 'utf8'), before);
  assert.is((await cli(`sync-kubeconfig -y --overwrite --path ${path}`)).code, 0);
  assert.is(parse(readFileSync(path, 'utf8')).users[0].user.token, 'new-token');
});

test('--replace puts the answer in the place of the file, and backs it up', async ({ cli, folder, upstream }) => {
  const path = join(folder, 'config');
  writeFileSync(path, JSON.stringify(kubeconfig('home')));
  upstream.on('GET /servers/kubeconfig', kubeconfig('gpu-0'));
  assert.is((await cli(`sync-kubeconfig -y --replace --path ${path}`)).code, 0);
  assert.equal(contextNames(path), ['gpu-0']);
  assert.equal(contextNames(`${path}.bak`), ['home']);
});

test('a no writes nothing and ends with 9, as upstream with 1', async ({ cli, folder, upstream }) => {
  upstream.on('GET /servers/kubeconfig', kubeconfig('gpu-0'));
  const path = join(folder, 'config');
  assert.is((await cli(`sync-kubeconfig --path ${path}`, { types: 'n\n' })).code, 9);
  assert.is((await cli(`sync-kubeconfig --compat-exit --path ${path}`, { types: 'n\n' })).code, 1);
  assert.not(existsSync(path));
});

test('it waits while kubectl holds the lock of the file', async ({ cli, folder, upstream }) => {
  const path = join(folder, 'config');
  writeFileSync(`${path}.lock`, '');
  upstream.on('GET /servers/kubeconfig', kubeconfig('gpu-0'));
  const syncing = cli(`sync-kubeconfig -y --path ${path}`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.not(existsSync(path));
  rmSync(`${path}.lock`);
  assert.is((await syncing).code, 0);
  assert.ok(existsSync(path));
});

test('a link stays a link', async ({ cli, folder, upstream }) => {
  mkdirSync(join(folder, 'real'));
  writeFileSync(join(folder, 'real/config'), '');
  symlinkSync(join(folder, 'real/config'), join(folder, 'config'));
  upstream.on('GET /servers/kubeconfig', kubeconfig('gpu-0'));
  assert.is((await cli(`sync-kubeconfig -y --path ${join(folder, 'config')}`)).code, 0);
  assert.equal(contextNames(join(folder, 'real/config')), ['gpu-0']);
});

test('sync-node takes one context with its cluster and user, from a string or an object', async ({
  cli,
  folder,
  upstream,
}) => {
  const both = mergeKubeconfigs(
    await parseKubeconfig(kubeconfig('gpu-0'), 'a'),
    await parseKubeconfig(kubeconfig('gpu-1'), 'b'),
  );
  for (const payload of [both, JSON.stringify(both)]) {
    upstream.on('GET /config/kubeconfig', { kubeconfig: payload });
    const path = join(folder, typeof payload);
    const { code } = await cli(
      `sync-node-kubeconfig --agent-api ${upstream.url} --context-name gpu-1 -y --path ${path}`,
    );
    assert.is(code, 0);
    const written = parse(readFileSync(path, 'utf8'));
    for (const kind of ['clusters', 'users', 'contexts']) {
      assert.equal(
        written[kind].map(({ name }: { name: string }) => name),
        ['gpu-1'],
      );
    }
  }
});

const user = { name: 'u', user: { token: 'secret-token' } };
const cluster = { name: 'c', cluster: { server: 'https://x' } };
const entry = { name: 'x', context: { cluster: 'c', user: 'u' } };
const broken: [what: string, kubeconfig: unknown, message: RegExp][] = [
  ['that is a list', '- 1', /is no kubeconfig/],
  ['that is no YAML', '{"a": [secret-token', /is not YAML/],
  ['without the context', { contexts: [] }, /has no context x/],
  ['whose context names a missing cluster', { users: [user], contexts: [entry] }, /cluster c, which is not in it/],
  ['whose context names a missing user', { clusters: [cluster], contexts: [entry] }, /user u, which is not in it/],
  ['whose contexts are text', { contexts: 'x' }, /is no kubeconfig: contexts/],
  [
    'that would run a program',
    { clusters: [cluster], users: [{ name: 'u', user: { exec: { command: 'rm' } } }], contexts: [entry] },
    /user u has the field exec, which is refused/,
  ],
  [
    'that would read a file',
    { clusters: [cluster], users: [{ name: 'u', user: { tokenFile: '/etc/shadow' } }], contexts: [entry] },
    /field tokenFile, which is refused/,
  ],
];

for (const [what, payload, message] of broken) {
  test(`an agent's kubeconfig ${what} is refused with its reason, and nothing is written`, async ({
    cli,
    folder,
    upstream,
  }) => {
    upstream.on('GET /config/kubeconfig', { kubeconfig: payload });
    const path = join(folder, 'config');
    const { code, stderr } = await cli(
      `sync-node-kubeconfig --agent-api ${upstream.url} --context-name x -y --path ${path}`,
    );
    assert.is(code, 1);
    assert.match(stderr, message);
    assert.not.match(stderr, /secret-token/);
    assert.not(existsSync(path));
  });
}

test('a broken file of one’s own is named and left alone', async ({ cli, folder, upstream }) => {
  const path = join(folder, 'config');
  writeFileSync(path, 'contexts: {');
  upstream.on('GET /servers/kubeconfig', kubeconfig('gpu-0'));
  const { code, stderr } = await cli(`sync-kubeconfig -y --path ${path}`);
  assert.is(code, 1);
  assert.match(stderr, /config is not YAML \[E-KUBECONFIG\]/);
  assert.is(readFileSync(path, 'utf8'), 'contexts: {');
});

const configs = fc
  .uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 0 })
  .chain((names) => fc.tuple(fc.constant(names), fc.array(fc.constantFrom('t1', 't2'), { minLength: 5, maxLength: 5 })))
  .map(([names, tokens]) => {
    const parts = names.map((name, i) => kubeconfig(name, tokens[i]));
    return {
      clusters: parts.flatMap(({ clusters }) => clusters),
      users: parts.flatMap(({ users }) => users),
      contexts: parts.flatMap(({ contexts }) => contexts),
    };
  });

test('merging loses no name, takes every new entry, and without conflicts changes no old one', async () => {
  await fc.assert(
    fc.asyncProperty(configs, configs, async (one, two) => {
      const [into, from] = [await parseKubeconfig(one, 'one'), await parseKubeconfig(two, 'two')];
      const merged = mergeKubeconfigs(into, from);
      for (const kind of ['clusters', 'users', 'contexts'] as const) {
        const names = merged[kind].map(({ name }) => name);
        assert.is(new Set(names).size, names.length);
        assert.equal([...names].sort(), [...new Set([...into[kind], ...from[kind]].map(({ name }) => name))].sort());
        for (const entry of from[kind])
          assert.equal(
            merged[kind].find(({ name }) => name === entry.name),
            entry,
          );
        if (conflicts(into, from).length > 0) continue;
        for (const entry of into[kind])
          assert.equal(
            merged[kind].find(({ name }) => name === entry.name),
            entry,
          );
      }
      assert.equal(conflicts(merged, from), []);
    }),
    { numRuns: 100 },
  );
});

test.run();

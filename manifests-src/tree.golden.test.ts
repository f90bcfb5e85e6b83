// The tree of a miner with one server, compared byte by byte with golden/tree; UPDATE_GOLDEN=1 writes it anew. Larger ones are compared by
// what must hold of them.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chute, server, specFor } from './fixtures.ts';
import { renderTree } from './render.ts';
import { configWith, serverNamed, serversNamed } from './testing/tree.ts';

const golden = fileURLToPath(new URL('golden/tree/', import.meta.url));
const names = (count: number) => Array.from({ length: count }, (_, i) => `gpu-${String(i + 1).padStart(3, '0')}`);
const membersOf = (tree: ReadonlyMap<string, string>, name: string) =>
  [...tree]
    .filter(([path]) => path.startsWith(`members/${name}/`))
    .map(([path, text]) => [path.slice(`members/${name}/`.length), text]);

test('one server renders as committed, and nothing else does', () => {
  const tree = renderTree(configWith(), serversNamed('gpu-01'));
  if (process.env.UPDATE_GOLDEN === '1') {
    rmSync(golden, { recursive: true, force: true });
    for (const [path, text] of tree) {
      mkdirSync(dirname(golden + path), { recursive: true });
      writeFileSync(golden + path, text);
    }
  }
  const committed = readdirSync(golden, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.yaml'));
  assert.equal([...tree.keys()], committed.sort());
  for (const [path, text] of tree) assert.fixture(text, readFileSync(golden + path, 'utf8'), path);
});

for (const count of [10, 100]) {
  test(`${count} servers have the files of one, each in a folder of its own, and the control plane stays the same but for what names them`, () => {
    const one = renderTree(configWith(), serversNamed('gpu-001'));
    const many = renderTree(configWith(), serversNamed(...names(count)));
    for (const name of names(count)) assert.equal(membersOf(many, name), membersOf(one, 'gpu-001'), name);
    const control = (tree: ReadonlyMap<string, string>) =>
      [...tree].filter(([path]) => path.startsWith('control/miner/'));
    assert.equal(control(many), control(one));
    assert.equal([...many.keys()], [...many.keys()].sort());
  });
}

test('a server with values of its own differs in them and in nothing else', () => {
  const servers = serversNamed('gpu-01', 'gpu-02');
  servers.set('gpu-02', serverNamed('gpu-02', { cache: { maxSizeGb: 850 } }));
  const tree = renderTree(configWith(), servers);
  const [plain, own] = ['gpu-01', 'gpu-02'].map(
    (name) => new Map(membersOf(tree, name).map(([path, text]) => [path ?? '', text ?? ''])),
  );
  const different = [...(plain ?? [])].filter(([path, text]) => own?.get(path) !== text).map(([path]) => path);
  assert.equal(different, ['miner-gpu/cache-cleaner.yaml']);
  assert.match(own?.get('miner-gpu/cache-cleaner.yaml') ?? '', /--max-size-gb=850/);
  assert.match(own?.get('miner-gpu/cache-cleaner.yaml') ?? '', /--max-age-days=30/);
});

test('a new server changes no file of the others, nor of the control plane itself', () => {
  const before = renderTree(configWith(), serversNamed('gpu-01', 'gpu-03'));
  const after = renderTree(configWith(), serversNamed('gpu-01', 'gpu-02', 'gpu-03'));
  for (const [path, text] of before)
    if (/^(members|control\/miner)\//.test(path)) assert.is(after.get(path), text, path);
});

test('deployments are rendered into the folder of their server', () => {
  const spec = specFor(chute);
  const tree = renderTree(configWith(), serversNamed('gpu-07'), [
    { spec, context: { config: configWith(), server, chute } },
  ]);
  assert.ok(tree.has(`chutes/gpu-07/${spec.deploymentId}.yaml`));
});

test.run();

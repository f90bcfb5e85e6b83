// The tree of a miner with one server, compared byte by byte with golden/tree, and those of 1, 10 and 100 servers with all that Argo CD
// reads, by a digest of each file in golden/tree-<servers>.sha256; UPDATE_GOLDEN=1 writes them anew.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configFor } from '@miner/controller/domain/config.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { memberCharts } from './charts/all.ts';
import { chute, server, specFor } from './fixtures.ts';
import { renderChart, renderTree, renderTreeInTurns } from './render.ts';
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

test('a tree drawn in turns is the same, and others have a turn after any few servers, also within a file that names them all', async () => {
  async function turnsFor(count: number): Promise<number> {
    const servers = serversNamed(...names(count));
    let turns = 0;
    let isDrawing = true;
    setImmediate(function turn() {
      turns += 1;
      if (isDrawing) setImmediate(turn);
    });
    const tree = await renderTreeInTurns(configWith(), servers);
    isDrawing = false;
    assert.equal([...tree], [...renderTree(configWith(), servers)]);
    return turns;
  }
  const few = await turnsFor(10);
  const many = await turnsFor(100);
  // One for each of the 90 servers' own files, the others within files of all servers.
  assert.ok(many - few > 90, `${few} turns for 10 servers, ${many} for 100`);
});

/** `<sha256>  <first path> and <n> more`, one line for each content. */
function digestsOf(tree: ReadonlyMap<string, string>): string {
  const paths = new Map<string, string[]>();
  for (const [path, text] of tree) {
    const digest = createHash('sha256').update(text).digest('hex');
    paths.set(digest, [...(paths.get(digest) ?? []), path]);
  }
  const lines = [...paths].map(([digest, [first, ...more]]) => {
    return `${digest}  ${first}${more.length > 0 ? ` and ${more.length} more` : ''}\n`;
  });
  return lines.join('');
}

for (const count of [1, 10, 100]) {
  test(`${count} servers render as committed, byte by byte, with Argo CD's Applications`, () => {
    const git = { mode: 'external', url: 'https://git.example/miner/cluster.git' };
    const text = digestsOf(renderTree(configWith({ git }), serversNamed(...names(count))));
    const file = new URL(`golden/tree-${count}.sha256`, import.meta.url);
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, text);
    assert.fixture(text, readFileSync(file, 'utf8'));
  });
}

test('a part that is drawn once for all servers reads nothing that a server may have different', () => {
  const other = configFor(
    configWith(),
    serverNamed('gpu-02', { cache: { maxSizeGb: 1, maxAgeDays: 2, minFreeGb: 3 }, registryMode: 'direct' }),
  );
  for (const chart of memberCharts)
    for (const part of Object.keys(chart.parts)) {
      const [own, common] = [other, configWith()].map((config) => renderChart(chart, { config }, [part]));
      const isSame = JSON.stringify(own) === JSON.stringify(common);
      assert.is(isSame, !chart.perServer?.includes(part), `${chart.name}/${part}`);
    }
});

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

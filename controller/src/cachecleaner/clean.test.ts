import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openLedger, prepareChute } from './ledger.ts';
import { scene } from './testing/scene.ts';
import { day, idle, kb, namesOf, now, other, running } from './testing/tree.ts';

scene('D14 an old model goes alone: its chute, the models beside it and every other chute stay', async (tree) => {
  tree.model(idle, 'org/old', 8 * kb, 40);
  tree.model(idle, 'org/fresh', 8 * kb, 3);
  tree.model(other, 'org/old', 8 * kb, 20);
  tree.model(running, 'org/older', 8 * kb, 400);
  const report = await tree.clean();
  assert.equal(namesOf(report), ['org/old']);
  assert.not(tree.has(idle, 'hub', 'models--org--old'));
  assert.ok(tree.has(idle, 'hub', 'models--org--fresh', 'snapshots', 'c0ffee', 'model.safetensors'));
  assert.ok(tree.has(other, 'hub', 'models--org--old') && tree.has(running, 'hub', 'models--org--older'));
  assert.equal(readdirSync(tree.at('.cache-cleaner', 'trash')), []);
  assert.equal([report.kept, report.failures], [{ 'in use': 1 }, []]);
});

scene('D14 an old model in the folder that all chutes once shared takes nothing with it, and stays', async (tree) => {
  tree.model('', 'org/legacy', 8 * kb, 400);
  tree.model(idle, 'org/fresh', 8 * kb, 3);
  assert.equal((await tree.clean({ maxBytes: 1 })).kept, { legacy: 1 });
  assert.ok(tree.has('hub', 'models--org--legacy', 'blobs', 'b10b'));
});

scene('to make room, what was used longest ago goes first and not what is largest', async (tree) => {
  tree.model(idle, 'org/large', 400 * kb, 5);
  tree.model(other, 'org/small', 100 * kb, 6);
  const report = await tree.clean({ maxBytes: 450 * kb });
  assert.equal(namesOf(report), ['org/small']);
  assert.ok(report.met && report.bytesLeft <= 450 * kb);
});

scene('D14 the chute about to start keeps its models although they are the oldest', async (tree) => {
  tree.model(idle, 'org/old', 8 * kb, 400);
  await tree.clean({ inUse: [], dryRun: true });
  const ledger = openLedger(tree.root);
  ledger.noteSeen(new Set(), now);
  ledger.noteStart(idle, now);
  ledger.close();
  assert.equal(
    [namesOf(await tree.clean({ inUse: undefined })), tree.has(idle, 'hub', 'models--org--old')],
    [[], true],
  );
});

scene('while nobody looked at the node, nothing goes', async (tree) => {
  tree.model(idle, 'org/old', 8 * kb, 400);
  const report = await tree.clean({ inUse: undefined, maxBytes: 1 });
  assert.equal([report.removed, report.kept, report.seenAt, report.met], [[], { 'in use': 1 }, undefined, false]);
});

scene('sizes are what du counts: blocks, a hole as nothing, a file with two names once', async (tree) => {
  truncateSync(tree.file(tree.at(idle, 'hub', 'models--a--sparse', 'blobs', 'x'), 0), 1024 ** 3);
  tree.age(tree.at(idle, 'hub', 'models--a--sparse'), 0);
  tree.model(idle, 'org/a', 300 * kb, 1);
  tree.file(tree.at(other, 'civitai', 'lora.safetensors'), 50 * kb);
  linkSync(tree.at(idle, 'hub', 'models--org--a', 'blobs', 'b10b'), tree.at(other, 'civitai', 'same.safetensors'));
  const report = await tree.clean();
  const folders = [
    tree.at(idle, 'hub', 'models--a--sparse'),
    tree.at(idle, 'hub', 'models--org--a'),
    tree.at(other, 'civitai'),
  ];
  const sum = execFileSync('du', ['-sc', '--block-size=1', ...folders], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .at(-1);
  const civitaiFolder = lstatSync(tree.at(other, 'civitai')).blocks * 512;
  assert.is(report.bytes, Number.parseInt(sum ?? '', 10) - civitaiFolder);
  assert.is(report.items, 4);
});

scene('links are never followed, neither out of a model nor instead of a folder', async (tree) => {
  const precious = tree.file(join(tree.outside, 'models--x--y', 'blobs', 'precious'), 8 * kb, 400);
  tree.model(idle, 'org/old', 8 * kb, 40);
  symlinkSync(tree.outside, tree.at(idle, 'hub', 'models--org--old', 'folder'));
  symlinkSync(precious, tree.at(idle, 'hub', 'models--org--old', 'file'));
  symlinkSync(tree.outside, tree.at(other, 'hub'));
  const linked = '40000000-0000-4000-8000-000000000000';
  symlinkSync(tree.outside, tree.at(linked));
  const age = { maxAgeMs: day, maxBytes: 1 };
  tree.age(tree.at(idle, 'hub', 'models--org--old'), 40);
  const report = await tree.clean(age);
  assert.ok(existsSync(precious) && lstatSync(tree.at(other, 'hub')).isSymbolicLink());
  assert.equal(namesOf(report), ['org/old']);
  const problem = 'is a link or a file, no folder, and was left alone';
  assert.equal(
    report.failures.sort((a, b) => (a.path < b.path ? -1 : 1)),
    [
      { path: `${other}/hub`, problem },
      { path: linked, problem },
    ],
  );
});

scene(
  'a broken download goes when it is old, with its locks when the model goes; a running one stays',
  async (tree) => {
    tree.model(idle, 'org/a', 8 * kb, 5);
    const stale = tree.file(tree.at(idle, 'hub', 'models--org--a', 'blobs', 'x.incomplete'), 64 * kb);
    tree.age(tree.at(idle, 'hub', 'models--org--a'), 5);
    tree.model(other, 'org/b', 8 * kb, 5);
    const fresh = tree.file(tree.at(other, 'hub', 'models--org--b', 'blobs', 'y.incomplete'), 64 * kb);
    tree.file(tree.at(idle, 'hub', '.locks', 'models--org--a', 'x.lock'), 0, 5);
    const report = await tree.clean();
    assert.equal([existsSync(stale), existsSync(fresh)], [false, true]);
    assert.equal([report.removed[0]?.reason, report.bytes - report.bytesLeft], ['broken download', 64 * kb]);
    tree.age(tree.at(idle, 'hub', 'models--org--a'), 5);
    await tree.clean({ maxAgeMs: day });
    assert.equal(
      [tree.has(idle, 'hub', 'models--org--a'), tree.has(idle, 'hub', '.locks', 'models--org--a')],
      [false, false],
    );
  },
);

scene('a folder too deep to hold open is removed all the same', async (tree) => {
  let deep = tree.at(idle, 'xet');
  for (let n = 0; n < 300; n++) deep = join(deep, 'd');
  mkdirSync(deep, { recursive: true });
  const report = await tree.clean({ maxAgeMs: 1, clock: { now: () => Date.now() + 3 * day } });
  assert.equal([tree.has(idle, 'xet'), readdirSync(tree.at('.cache-cleaner', 'trash'))], [false, []]);
  assert.match(report.failures[0]?.problem ?? '', /deeper than 128/);
});

scene('a dry run tells the same and changes nothing', async (tree) => {
  tree.model(idle, 'org/old', 8 * kb, 40);
  const listing = () =>
    readdirSync(tree.root, { recursive: true }).map((path) => `${path} ${lstatSync(tree.at(`${path}`)).mtimeMs}`);
  const before = listing();
  const told = await tree.clean({ dryRun: true });
  assert.equal(listing(), before);
  const { removed, bytesLeft } = await tree.clean();
  assert.equal([told.removed, told.bytesLeft, told.dryRun], [removed, bytesLeft, true]);
});

scene('a pass that is ended removes nothing more, and the next one finishes what it left', async (tree) => {
  tree.model(idle, 'org/old', 8 * kb, 40);
  const ended = await tree.clean({ signal: AbortSignal.abort() });
  assert.equal([ended.complete, ended.removed], [false, []]);
  renameSync(tree.at(idle, 'hub', 'models--org--old'), tree.at('.cache-cleaner', 'trash', 'left'));
  const next = await tree.clean();
  assert.equal([next.complete, next.items, readdirSync(tree.at('.cache-cleaner', 'trash'))], [true, 0, []]);
});

scene('only a cache of chutes is taken, unless one is told to, and never the root of the file system', (tree) => {
  const refused = (path: string, code: string, adopt = false) =>
    assert.throws(
      () => openLedger(path, { adopt }).close(),
      (error: { code: string }) => error.code === code,
    );
  refused('/', 'E-USAGE', true);
  symlinkSync('/', join(tree.outside, 'root'));
  refused(join(tree.outside, 'root'), 'E-USAGE', true);
  refused(tree.outside, 'E-USAGE');
  refused(join(tree.outside, 'missing'), 'E-CACHE');
  openLedger(tree.outside, { adopt: true }).close();
  openLedger(tree.outside).close();
});

scene('the folder of a starting chute is made for its user, and a link in its place is refused', (tree) => {
  const fresh = '50000000-0000-4000-8000-000000000000';
  const uid = process.getuid?.() === 0 ? 1000 : (process.getuid?.() ?? 0);
  if (process.getuid?.() === 0) prepareChute(tree.root, fresh, uid);
  else mkdirSync(tree.at(fresh));
  assert.is(lstatSync(tree.at(fresh)).uid, uid);
  const linked = '60000000-0000-4000-8000-000000000000';
  symlinkSync(tree.outside, tree.at(linked));
  assert.throws(() => prepareChute(tree.root, linked, uid), /cannot be made/);
  assert.is(lstatSync(tree.outside).uid, process.getuid?.());
});

test.run();

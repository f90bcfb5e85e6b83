import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openLedger, prepareChute } from './ledger.ts';
import { day, idle, kb, makeTree, now, other, running, type Tree } from './testing/tree.ts';

/** Its tree goes when `body` is over. */
function scene(name: string, body: (tree: Tree) => unknown): void {
  test(name, async () => {
    const tree = makeTree();
    try {
      await body(tree);
    } finally {
      tree.remove();
    }
  });
}

function namesOf(report: { removed: { name: string }[] }): string[] {
  return report.removed.map(({ name }) => name);
}

scene('an old model goes alone: its chute, the models beside it and every other chute stay', async (tree) => {
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

scene('an old model in the folder that all chutes once shared takes nothing with it, and stays', async (tree) => {
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

scene('the chute about to start keeps its models although they are the oldest', async (tree) => {
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

// `between` runs after the scan and before anything is removed.
function meddling(between: () => void): { freeBytes(): number } {
  let done = false;
  return {
    freeBytes() {
      if (!done) between();
      done = true;
      return 1e12;
    },
  };
}

scene('a folder swapped for a link after the scan leads nowhere', async (tree) => {
  const precious = tree.file(join(tree.outside, 'models--org--old', 'blobs', 'precious'), 8 * kb, 400);
  tree.age(tree.outside, 400);
  tree.model(idle, 'org/old', 8 * kb, 40);
  const swap = () => {
    renameSync(tree.at(idle, 'hub'), tree.at(idle, 'moved'));
    symlinkSync(tree.outside, tree.at(idle, 'hub'));
  };
  const report = await tree.clean(meddling(swap));
  assert.ok(existsSync(precious) && tree.has(idle, 'moved', 'models--org--old', 'blobs', 'b10b'));
  assert.equal(report.removed, []);
  assert.equal(report.failures.length, 1);
});

scene('a model that a download writes to after the scan comes back whole', async (tree) => {
  tree.model(idle, 'org/old', 8 * kb, 40);
  const download = () => tree.file(tree.at(idle, 'hub', 'models--org--old', 'blobs', 'new.incomplete'), kb);
  const report = await tree.clean(meddling(download));
  assert.equal(readdirSync(tree.at(idle, 'hub', 'models--org--old', 'blobs')).sort(), ['b10b', 'new.incomplete']);
  assert.equal([report.removed, report.failures.map((one) => one.problem)], [[], ['was changed since']]);
});

scene('a model whose chute starts after the scan stays, and the next one goes instead', async (tree) => {
  tree.model(idle, 'org/a', 100 * kb, 9);
  tree.model(other, 'org/b', 100 * kb, 8);
  const start = () => {
    const ledger = openLedger(tree.root);
    ledger.noteStart(idle, now + 1);
    ledger.close();
  };
  const report = await tree.clean({ maxBytes: 150 * kb, ...meddling(start) });
  assert.equal([namesOf(report), report.met], [['org/b'], true]);
  assert.ok(tree.has(idle, 'hub', 'models--org--a', 'blobs', 'b10b'));
});

scene('a model whose chute starts while it is taken out is put back', async (tree) => {
  tree.model(idle, 'org/old', 8 * kb, 40);
  const ledger = openLedger(tree.root);
  ledger.noteSeen(new Set(), now);
  let reads = 0;
  const startsAfterFirst = () => (reads++ === 0 ? undefined : now);
  const report = await tree.clean({ ledger: { ...ledger, lastUsedOf: startsAfterFirst } });
  ledger.close();
  assert.equal([report.removed, report.failures.map((one) => one.problem)], [[], ['is in use since']]);
  assert.ok(tree.has(idle, 'hub', 'models--org--old', 'blobs', 'b10b'));
});

scene('a model comes back when the time is over before it was looked at again', async (tree) => {
  tree.model(idle, 'org/old', 8 * kb, 40);
  const ledger = openLedger(tree.root);
  ledger.noteSeen(new Set(), now);
  const stopping = new AbortController();
  let reads = 0;
  const stopsAfterFirst = () => {
    if (reads++ === 1) stopping.abort();
    return undefined;
  };
  const report = await tree.clean({ ledger: { ...ledger, lastUsedOf: stopsAfterFirst }, signal: stopping.signal });
  ledger.close();
  assert.equal([report.complete, report.removed], [false, []]);
  assert.ok(tree.has(idle, 'hub', 'models--org--old', 'blobs', 'b10b'));
});

scene('a model and a file that vanish after the scan are no failure', async (tree) => {
  tree.model(idle, 'org/old', 8 * kb, 40);
  tree.file(tree.at(other, 'civitai', 'old.safetensors'), 8 * kb, 40);
  const vanish = () => {
    rmSync(tree.at(idle, 'hub'), { recursive: true });
    rmSync(tree.at(other, 'civitai', 'old.safetensors'));
  };
  assert.equal((await tree.clean(meddling(vanish))).failures, []);
});

scene('what cannot be taken out or read is reported, and another model makes room', async (tree) => {
  tree.model(idle, 'org/a', 100 * kb, 9);
  tree.model(other, 'org/b', 100 * kb, 8);
  tree.model(running, 'org/c', 1 * kb, 8);
  const ledger = openLedger(tree.root);
  ledger.noteSeen(new Set([running]), now);
  const { trash, root } = ledger;
  assert.ok(trash);
  const refused = Object.assign(new Error('no'), { code: 'EACCES' });
  let renames = 0;
  const refuseFirst = (name: string | Buffer) => {
    if (`${name}`.includes('-') && renames++ === 0) throw refused;
    return trash.at(name);
  };
  const refuseChute = (name: string | Buffer) => {
    if (`${name}` === running) throw refused;
    return root.at(name);
  };
  const held = { ...ledger, trash: { ...trash, at: refuseFirst }, root: { ...root, at: refuseChute } };
  const report = await tree.clean({ ledger: held, maxBytes: 150 * kb });
  ledger.close();
  assert.equal([namesOf(report), report.kept], [['org/b'], { stuck: 1 }]);
  assert.equal(report.failures, [
    { path: running, problem: 'cannot be read: EACCES' },
    { path: `${idle}/hub/models--org--a`, problem: 'cannot be removed: EACCES' },
  ]);
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

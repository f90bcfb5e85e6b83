// What changes between the scan and the removal, or resists it, loses nothing.

import { existsSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openLedger } from './ledger.ts';
import { scene } from './testing/scene.ts';
import { idle, kb, namesOf, now, other, running } from './testing/tree.ts';

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

test.run();

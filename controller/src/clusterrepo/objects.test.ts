import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MinerError } from '../domain/errors.ts';
import { changeTree } from './changetree.ts';
import { makeObject, type NewObject, openObjects } from './objects.ts';
import { git } from './testing/testrepo.ts';
import { decodeTree, encodeTree } from './trees.ts';

async function withGit(work: (gitdir: string) => Promise<void>): Promise<void> {
  const gitdir = mkdtempSync(join(tmpdir(), 'objects-'));
  try {
    git(gitdir, 'init', '--quiet', '--bare', '.');
    await work(gitdir);
  } finally {
    rmSync(gitdir, { recursive: true });
  }
}

function blobs(count: number, length: (i: number) => number): NewObject[] {
  return Array.from({ length: count }, (_, i) => makeObject('blob', Buffer.alloc(length(i), `${i} `)));
}

test('single objects and packs hold what git reads, whatever the length', async () => {
  for (const count of [3, 60]) {
    await withGit(async (gitdir) => {
      const objects = blobs(count, (i) => 2 ** (i % 20) + (i % 3) - 1);
      await openObjects(gitdir).write(objects);
      assert.is(readdirSync(join(gitdir, 'objects', 'pack')).length, count < 48 ? 0 : 2);
      const fresh = openObjects(gitdir);
      for (const { oid, content } of objects) {
        assert.equal(await fresh.read(oid, 'blob'), content);
        assert.is(Number(git(gitdir, 'cat-file', '-s', oid)), content.length);
      }
      assert.not.match(git(gitdir, 'fsck', '--strict', '--full'), /error|missing|corrupt/);
    });
  }
});

test('a missing, cut or mistaken object is named', async () => {
  await withGit(async (gitdir) => {
    const store = openObjects(gitdir);
    const [a, b] = blobs(2, () => 100);
    if (!a || !b) return;
    await store.write([a, b]);
    const path = join(gitdir, 'objects', b.oid.slice(0, 2), b.oid.slice(2));
    rmSync(path);
    writeFileSync(path, 'cut');
    const absent = 'f'.repeat(40);
    for (const [oid, type] of [
      [absent, 'blob'],
      [b.oid, 'blob'],
      [a.oid, 'tree'],
    ] as const) {
      const code = await store.read(oid, type).then(
        () => 'read',
        (error: MinerError) => `${error.code} ${error.message.includes(oid)}`,
      );
      assert.is(code, 'E-GIT-REPOSITORY true');
    }
  });
});

test('an object written again counts as new, so that git gc keeps it', async () => {
  await withGit(async (gitdir) => {
    const store = openObjects(gitdir);
    const [blob] = blobs(1, () => 100);
    if (!blob) return;
    await store.write([blob]);
    const path = join(gitdir, 'objects', blob.oid.slice(0, 2), blob.oid.slice(2));
    utimesSync(path, new Date(0), new Date(0));
    await store.write([blob]);
    assert.ok(Date.now() - statSync(path).mtimeMs < 60_000);
  });
});

const names = fc.constantFrom('a', 'a.b', 'a-b', 'a0', 'ab', 'b', 'Z', 'é', '日本');
const oids = fc.constantFrom(...blobs(3, (i) => i + 1).map(({ oid }) => oid));
const paths = fc
  .array(names, { minLength: 1, maxLength: 3 })
  .map((parts) => parts.map((part, i) => (i < parts.length - 1 ? `${part}+` : part)).join('/'));

test('a tree changed step by step is the tree that git makes of the same files', async () => {
  await withGit(async (gitdir) => {
    const store = openObjects(gitdir);
    await store.write(blobs(3, (i) => i + 1));
    const steps = fc.array(fc.dictionary(paths, fc.option(oids, { nil: undefined }), { maxKeys: 4 }), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(steps, async (changes) => {
        let root: string | undefined;
        const files = new Map<string, string>();
        for (const step of changes) {
          const made: NewObject[] = [];
          root = await changeTree(store, root, new Map(Object.entries(step)), made);
          await store.write(made);
          for (const [path, oid] of Object.entries(step)) {
            if (oid === undefined) files.delete(path);
            else files.set(path, oid);
          }
        }
        const index = join(gitdir, 'index');
        rmSync(index, { force: true });
        const lines = [...files].map(([path, oid]) => `100644 ${oid}\t${path}\n`).join('');
        const options = { input: lines, encoding: 'utf8', cwd: gitdir } as const;
        execFileSync('git', ['update-index', '--add', '--index-info'], options);
        const expected = git(gitdir, 'write-tree');
        assert.is(root ?? makeObject('tree', encodeTree(new Map())).oid, expected);
      }),
      { numRuns: 15 },
    );
  });
});

test('a file does not silently replace a folder, nor a folder a file', async () => {
  await withGit(async (gitdir) => {
    const store = openObjects(gitdir);
    const [blob] = blobs(1, () => 1);
    if (!blob) return;
    const made: NewObject[] = [blob];
    const root = await changeTree(store, undefined, new Map([['a/b', blob.oid]]), made);
    await store.write(made);
    for (const path of ['a', 'a/b/c']) {
      const code = await changeTree(store, root, new Map([[path, blob.oid]]), []).then(
        () => 'done',
        (error: MinerError) => error.code,
      );
      assert.is(code, 'E-GIT-REPOSITORY', path);
    }
  });
});

test('a cut tree is an error, not a shorter tree', () => {
  const [blob] = blobs(1, () => 1);
  const whole = encodeTree(new Map([['name', { mode: '100644', oid: blob?.oid ?? '' }]]));
  assert.is(decodeTree(whole).size, 1);
  assert.throws(() => decodeTree(whole.subarray(0, -1)), /cut off/);
  assert.throws(() => decodeTree(whole.subarray(0, 8)), /cut off/);
});

test.run();

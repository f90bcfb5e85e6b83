import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MinerError } from '../domain/errors.ts';
import { applyDelta } from './delta.ts';
import { openObjects } from './objects.ts';
import { git } from './testing/testrepo.ts';

/** Sixty versions of a large file and of a small one, packed by git with deltas of deltas. */
async function withPack(args: string[], work: (gitdir: string, oids: string[]) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'packs-'));
  try {
    git(dir, 'init', '--quiet', '.');
    const lines = Array.from({ length: 4000 }, (_, i) => `line ${i} ${(i * 7919) % 10_007}`);
    for (let version = 0; version < 60; version++) {
      lines[(version * 61) % lines.length] = `changed in version ${version}`;
      writeFileSync(join(dir, `large-${version}.txt`), lines.join('\n'));
      writeFileSync(join(dir, `small-${version}.txt`), `${version}\n`);
    }
    git(dir, 'add', '.');
    git(dir, 'commit', '--quiet', '-m', 'Versions');
    git(dir, ...args);
    const gitdir = join(dir, '.git');
    const objects = git(dir, 'cat-file', '--batch-all-objects', '--batch-check=%(objectname) %(objecttype)');
    await work(
      gitdir,
      objects
        .split('\n')
        .filter((line) => line.endsWith('blob'))
        .map((line) => line.slice(0, 40)),
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test('objects of git packs, deltas of both kinds included, have the content of their name', async () => {
  const ways = [
    ['repack', '-adq', '--depth=50'],
    ['-c', 'repack.useDeltaBaseOffset=false', 'repack', '-adq', '--depth=50'],
  ];
  for (const way of ways) {
    await withPack(way, async (gitdir, oids) => {
      assert.is(readdirSync(join(gitdir, 'objects')).sort().join(), 'info,pack');
      assert.match(git(gitdir, 'cat-file', '--batch-check=%(deltabase)', '--batch-all-objects'), /^[1-9a-f]/m);
      const store = openObjects(gitdir);
      // The store compares every object with its name.
      for (const oid of oids) assert.ok((await store.read(oid, 'blob')).length > 0);
      assert.is(oids.length, 120);
      const head = git(gitdir, 'rev-parse', 'HEAD^{tree}');
      assert.is((await store.readTree(head)).size, 120);
    });
  }
});

test('packs that git replaces meanwhile are found again', async () => {
  await withPack(['repack', '-adq'], async (gitdir, oids) => {
    const store = openObjects(gitdir);
    const [first = '', second = ''] = oids;
    await store.read(first, 'blob');
    git(gitdir, 'repack', '-adfq', '--window=2', '--depth=1');
    await store.read(second, 'blob');
    const third = git(gitdir, 'hash-object', '-w', join(gitdir, 'HEAD'));
    git(gitdir, 'update-ref', 'refs/tags/third', third);
    git(gitdir, 'repack', '-dq');
    await store.read(third, 'blob');
  });
});

test('a cut or foreign pack is an error that names the object', async () => {
  await withPack(['repack', '-adq'], async (gitdir, oids) => {
    const folder = join(gitdir, 'objects', 'pack');
    const names = readdirSync(folder);
    const pack = join(folder, names.find((name) => name.endsWith('.pack')) ?? '');
    const index = join(folder, names.find((name) => name.endsWith('.idx')) ?? '');
    const codes = async () => {
      const store = openObjects(gitdir);
      const read = (oid: string) =>
        store.read(oid, 'blob').then(
          () => 'read',
          (error: MinerError) => error.code,
        );
      return new Set(await Promise.all(oids.map(read)));
    };
    const whole = readFileSync(pack);
    rmSync(pack);
    writeFileSync(pack, whole);
    truncateSync(pack, 1000);
    assert.ok((await codes()).has('E-GIT-REPOSITORY'));
    const damaged = Buffer.from(whole);
    for (let at = 100; at < damaged.length - 20; at += 97) damaged[at] = (damaged[at] ?? 0) ^ 0x55;
    writeFileSync(pack, damaged);
    assert.ok((await codes()).has('E-GIT-REPOSITORY'));
    rmSync(index);
    writeFileSync(index, 'nonsense');
    assert.equal([...(await codes())], ['E-GIT-REPOSITORY']);
  });
});

test('a delta that does not fit its base is refused', () => {
  const base = Buffer.from('0123456789');
  const good = Buffer.from([10, 5, 0x91, 2, 3, 2, 0x61, 0x62]);
  assert.is(applyDelta(base, good).toString(), '234ab');
  const bad = [
    [9, 5, 0x91, 2, 3, 2, 0x61, 0x62],
    [10, 6, 0x91, 2, 3, 2, 0x61, 0x62],
    [10, 5, 0x91, 8, 3, 2, 0x61, 0x62],
    [10, 5, 0x91, 2, 3, 2, 0x61],
    [10, 5, 0],
    [0x8a],
  ];
  for (const bytes of bad) assert.throws(() => applyDelta(base, Buffer.from(bytes)), /delta/, bytes.join());
});

test.run();

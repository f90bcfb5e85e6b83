import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { applyDelta } from './delta.ts';
import { makeObject, openObjects } from './objects.ts';
import { type EncodedPack, encodePack } from './pack.ts';
import { openPacks } from './packread.ts';

const blob = makeObject('blob', Buffer.from('twelve bytes'));
const whole = encodePack([blob]);
/** Behind the head of the pack. */
const firstEntry = 12;

function withPack(parts: Partial<EncodedPack>, work: (gitdir: string) => void): void {
  const gitdir = mkdtempSync(join(tmpdir(), 'packread-'));
  try {
    const base = join(gitdir, 'objects', 'pack', `pack-${whole.name}`);
    mkdirSync(join(gitdir, 'objects', 'pack'), { recursive: true });
    const { pack, index } = { ...whole, ...parts };
    writeFileSync(`${base}.pack`, pack);
    writeFileSync(`${base}.idx`, index);
    work(gitdir);
  } finally {
    rmSync(gitdir, { recursive: true });
  }
}

function changed(bytes: Buffer, at: number, ...values: number[]): Buffer {
  const copy = Buffer.from(bytes);
  for (const [i, value] of values.entries()) copy[at + i] = value;
  return copy;
}

test('an entry that no pack may have is an error that names the pack', () => {
  const short = blob.content.length;
  const cases: [string, Buffer, RegExp][] = [
    ['a kind that is reserved', changed(whole.pack, firstEntry, (5 << 4) | short), /entry of kind 5/],
    ['a delta of what is before the pack', changed(whole.pack, firstEntry, (6 << 4) | short, 100), /without base/],
    ['a delta of itself', changed(whole.pack, firstEntry, (6 << 4) | short, 0), /without base/],
    ['a delta of what is not there', changed(whole.pack, firstEntry, (7 << 4) | short), /without base/],
    ['nothing behind the head', whole.pack.subarray(0, firstEntry), /cut off/],
  ];
  for (const [what, pack, problem] of cases)
    withPack({ pack }, (gitdir) => {
      assert.throws(() => openPacks(gitdir).read(blob.oid), problem, what);
    });
});

test('an index of another version, or one that is cut, is refused', () => {
  for (const index of [changed(whole.index, 7, 1), changed(whole.index, 0, 0), whole.index.subarray(0, 100)])
    withPack({ index }, (gitdir) => {
      assert.throws(() => openPacks(gitdir).read(blob.oid), /no pack index of version 2/);
    });
});

test('an offset kept in the table for large packs is found', () => {
  const offsetAt = 8 + 256 * 4 + 24;
  const table = Buffer.alloc(8);
  table.writeBigUInt64BE(BigInt(firstEntry));
  const head = changed(whole.index.subarray(0, offsetAt + 4), offsetAt, 0x80, 0, 0, 0);
  const index = Buffer.concat([head, table, whole.index.subarray(offsetAt + 4)]);
  withPack({ index }, (gitdir) => assert.equal(openPacks(gitdir).read(blob.oid)?.content, blob.content));
});

test('without packs nothing is found, and what is no folder of packs is an error', () => {
  const gitdir = mkdtempSync(join(tmpdir(), 'packread-'));
  try {
    assert.is(openPacks(gitdir).read(blob.oid), undefined);
    mkdirSync(join(gitdir, 'objects'));
    writeFileSync(join(gitdir, 'objects', 'pack'), '');
    assert.throws(() => openPacks(gitdir).read(blob.oid), /ENOTDIR/);
  } finally {
    rmSync(gitdir, { recursive: true });
  }
});

test('what is kept of a pack takes no more memory than its content', () => {
  withPack({}, (gitdir) => {
    const content = openPacks(gitdir).read(blob.oid)?.content;
    assert.is(content?.toString(), 'twelve bytes');
    assert.is(content?.buffer.byteLength, content?.length);
  });
});

test('a packed object of another type than asked for is refused', async () => {
  const gitdir = mkdtempSync(join(tmpdir(), 'packread-'));
  try {
    mkdirSync(join(gitdir, 'objects', 'pack'), { recursive: true });
    const many = Array.from({ length: 60 }, (_, i) => makeObject('blob', Buffer.from(`${i}`)));
    await openObjects(gitdir).write(many);
    const refused = await openObjects(gitdir)
      .read(many[7]?.oid ?? '', 'tree')
      .then(() => 'read', String);
    assert.match(refused, /is a blob, not a tree/);
  } finally {
    rmSync(gitdir, { recursive: true });
  }
});

test('a delta copies 64 KiB where it says no length, and one cut within a copy is refused', () => {
  const base = Buffer.alloc(0x10000, 'b');
  const sizes = [0x80, 0x80, 4];
  assert.equal(applyDelta(base, Buffer.from([...sizes, ...sizes, 0x80])), base);
  assert.throws(() => applyDelta(base, Buffer.from([...sizes, ...sizes, 0x81])), /delta/);
});

test('the tree without files can be read where nobody wrote it', async () => {
  const objects = openObjects(join(tmpdir(), 'packread-nothing-here'));
  assert.is((await objects.readTree('4b825dc642cb6eb9a060e54bf8d69288fbee4904')).size, 0);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { committedAt, decodeCommit, encodeCommit, signatureLine } from './commitobject.ts';

const who = signatureLine({ name: 'A <b>\n', email: 'a@b' }, 1_700_000_000_999);
const parts = { tree: 'a'.repeat(40), parents: ['b'.repeat(40)], author: who, committer: who, message: 'One\n\ntwo\n' };

test('a commit is taken apart into what it was made of, signed or not', async () => {
  const signature = '-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n';
  assert.equal(decodeCommit('x', await encodeCommit(parts)), parts);
  let signed = '';
  const bytes = await encodeCommit(parts, async (payload) => {
    signed = payload.toString();
    return signature;
  });
  assert.equal(decodeCommit('x', bytes), parts);
  assert.is(signed, (await encodeCommit(parts)).toString());
  assert.match(
    bytes.toString(),
    /\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n\nOne/,
  );
});

test('a name cannot add a line or a second address, and the time is in whole seconds', () => {
  assert.is(who, 'A b <a@b> 1700000000 +0000');
  assert.is(committedAt(parts), 1_700_000_000_000);
  assert.is(committedAt({ ...parts, committer: 'nobody' }), 0);
});

test('bytes that are no commit are refused', () => {
  for (const text of ['', 'tree abc\n\n', `parent ${'a'.repeat(40)}\n\nx`, `tree ${'a'.repeat(40)}\n\nx`]) {
    assert.throws(() => decodeCommit('x', Buffer.from(text)), /names no tree/);
  }
});

test.run();

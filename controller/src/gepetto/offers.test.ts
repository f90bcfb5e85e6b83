import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as f from './fixtures.ts';
import { createOfferBook } from './offers.ts';

const rental = f.chute('rental', { gpuCount: 2 });
const chutes = new Map([[rental.chuteId, rental]]);
const hour = 60 * f.minute;
const data = { chute_id: rental.chuteId, job_id: 'j', disk_gb: 100, exclude: ['a'], excluded: ['b'] };

test('E11 an offer is open with what it says, and with what its chute says where it is silent', () => {
  const book = createOfferBook();
  book.offer(data, f.now);
  const expected = { jobId: 'j', chuteId: rental.chuteId, gpuCount: 2, computeMultiplier: 1, diskGb: 100 };
  assert.equal([...book.open(f.now, chutes).values()], [{ ...expected, excluded: ['a', 'b'], attempted: false }]);
});

test('an offer of an unknown chute, or for other GPUs than its chute has now, is not open', () => {
  const book = createOfferBook();
  book.offer(data, f.now);
  assert.is(book.open(f.now, new Map()).size, 0);
  book.offer({ ...data, gpu_count: 1 }, f.now);
  assert.is(book.open(f.now, chutes).size, 0);
  book.offer({ ...data, gpu_count: 2 }, f.now);
  assert.is(book.open(f.now, chutes).size, 1);
});

test('an offer heard again keeps its time and its disk, which the second message does not name', () => {
  const book = createOfferBook();
  book.offer(data, f.now);
  book.offer({ ...data, disk_gb: 10, exclude: [], excluded: [] }, f.now + hour / 2);
  const [offer] = book.open(f.now + hour - 1, chutes).values();
  assert.equal([offer?.diskGb, offer?.excluded], [100, []]);
  assert.is(book.open(f.now + hour, chutes).size, 0);
});

test('an attempt is remembered although the offer is heard again after it', () => {
  const book = createOfferBook();
  book.attempt('j', f.now);
  book.offer(data, f.now);
  assert.equal(
    [...book.open(f.now, chutes).values()].map(({ attempted }) => attempted),
    [true],
  );
});

test.run();

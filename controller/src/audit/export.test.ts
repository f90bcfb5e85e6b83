import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hourMs } from './hours.ts';
import { sha256Of } from './records.ts';
import {
  type Crash,
  exporterIn,
  hour,
  makeClock,
  makeLedger,
  row,
  startValidator,
  type World,
} from './testing/world.ts';
import { createUploader } from './upload.ts';

const test = suite<World>('audit exporter');

test.before.each(async (world) => {
  world.dir = await mkdtemp(join(tmpdir(), 'audit-'));
  world.clock = makeClock(hour + hourMs + 60_000);
  world.validator = await startValidator(() => world.clock.now());
  world.ledger = makeLedger();
  world.rows = [row];
});
test.after.each(async ({ dir, validator }) => {
  await validator.close();
  await rm(dir, { recursive: true });
});

const hashes = ({ validator }: World) => validator.taken.map(({ body }) => sha256Of(Buffer.from(body)));
const hoursTaken = ({ validator }: World) =>
  validator.taken.map(({ body }) => JSON.parse(body).start_time.slice(0, 13));

test('the last full hour is kept, committed and uploaded: the same bytes each time', async (world) => {
  assert.equal(await exporterIn(world).exportDue(24), [{ hour, state: 'uploaded' }]);
  const kept = await readFile(join(world.dir, '2026-11-22T15.report.json'), 'utf8');
  const [taken] = world.validator.taken;
  assert.is(taken?.body, kept);
  assert.equal(world.ledger.commits, [sha256Of(Buffer.from(kept))]);
  assert.is(taken?.headers['x-chutes-block'], '1001');
  assert.is(taken?.headers['content-type'], 'application/json');
  const answer = JSON.parse(await readFile(join(world.dir, '2026-11-22T15.uploads.json'), 'utf8'));
  assert.equal(answer, { [`${world.validator.api}/audit/miner_data`]: { entry_id: 'e1' } });
});

test('an hour that is through is left alone', async (world) => {
  await exporterIn(world).exportDue(24);
  world.rows = [];
  assert.equal(await exporterIn(world).exportDue(24), []);
  assert.equal(await exporterIn(world).exportHour(hour), { hour, state: 'uploaded' });
  assert.is(world.validator.asked, 1);
  assert.is(world.ledger.calls, 1);
});

test('after a crash between any two steps the next run finishes, with one commitment of the bytes that were kept', async (world) => {
  const whole: Crash = { after: Number.POSITIVE_INFINITY, steps: [] };
  await exporterIn(world, {}, whole).exportHour(hour);
  assert.equal(
    whole.steps,
    ['saveReport', 'commit', 'saveCommitment', 'upload', 'saveUpload'].flatMap((step) => [
      `before ${step}`,
      `after ${step}`,
    ]),
  );
  for (let after = 0; after < whole.steps.length; after++) {
    const other = { ...world, dir: join(world.dir, String(after)), ledger: makeLedger() };
    world.validator.taken.length = 0;
    const crashed = await exporterIn(other, {}, { after, steps: [] }).exportHour(hour);
    const at = whole.steps[after];
    assert.is(crashed.state, 'failed', at);
    // What the database says now differs: a report that was kept must not be made anew.
    const again = exporterIn({ ...other, rows: [{ ...row, version: 'v2' }] });
    assert.is((await again.exportHour(hour)).state, 'uploaded', at);
    assert.is(other.ledger.commits.length, 1, at);
    assert.equal(new Set(hashes(other)), new Set(other.ledger.commits), at);
    const kept = await readFile(join(other.dir, '2026-11-22T15.report.json'));
    assert.equal(other.ledger.commits, [sha256Of(kept)], at);
    assert.is(JSON.parse(kept.toString()).deployment_audit[0].version, after === 0 ? 'v2' : 'v1', at);
  }
});

test('an upload that fails after the commitment is tried again without another one', async (world) => {
  world.validator.statuses = [503, 0, 429, 500, 502, 503, 503];
  const [first] = await exporterIn(world).exportDue(24);
  assert.is(first?.failed?.step, 'upload');
  assert.is(world.validator.asked, 6, 'bounded');
  assert.equal(world.clock.sleeps, Array(5).fill(10_000));
  const [second] = await exporterIn(world).exportDue(24);
  assert.is(second?.state, 'uploaded');
  assert.is(world.ledger.calls, 1);
  assert.is(world.validator.taken[0]?.headers['x-chutes-block'], '1001');
});

test('a refusal that will not change is not repeated within the run', async (world) => {
  world.validator.statuses = [400];
  const [outcome] = await exporterIn(world).exportDue(24);
  assert.match(outcome?.failed?.problem ?? '', /answered 400/);
  assert.is(world.validator.asked, 1);
});

test('a commitment is tried a bounded number of times, with waits that differ, and then by the next run', async (world) => {
  world.ledger.failing = 12;
  const [outcome] = await exporterIn(world, { random: Math.random }).exportDue(24);
  assert.is(outcome?.failed?.step, 'commit');
  assert.is(world.ledger.calls, 12);
  assert.ok(world.clock.sleeps.every((ms) => ms >= 5_000 && ms <= 15_000));
  assert.ok(new Set(world.clock.sleeps).size > 1);
  assert.is(world.validator.asked, 0);
  assert.is((await exporterIn(world).exportDue(24))[0]?.state, 'uploaded');
});

test('hours that were missed are filled, oldest first, each with its own commitment', async (world) => {
  await exporterIn(world).exportDue(24);
  world.clock.ms += 3 * hourMs;
  const outcomes = await exporterIn(world).exportDue(24);
  assert.equal(
    outcomes.map(({ hour: at, state }) => [at, state]),
    [1, 2, 3].map((n) => [hour + n * hourMs, 'uploaded']),
  );
  assert.equal(hoursTaken(world), ['2026-11-22T15', '2026-11-22T16', '2026-11-22T17', '2026-11-22T18']);
  assert.equal(world.ledger.commits, hashes(world));
  assert.is(new Set(world.ledger.commits).size, 4);
});

test('hours are filled so far back and no further', async (world) => {
  await exporterIn(world).exportDue(24);
  world.clock.ms += 10 * hourMs;
  assert.equal(
    (await exporterIn(world).exportDue(3)).map(({ hour: at }) => at),
    [8, 9, 10].map((n) => hour + n * hourMs),
  );
});

test('hours after a failed commitment wait for it; those after a failed upload do not', async (world) => {
  await exporterIn(world).exportDue(24);
  world.clock.ms += 2 * hourMs;
  world.ledger.failing = 12;
  assert.equal(
    (await exporterIn(world).exportDue(24)).map(({ state }) => state),
    ['failed'],
  );
  world.validator.statuses = [400];
  assert.equal(
    (await exporterIn(world).exportDue(24)).map(({ state }) => state),
    ['failed', 'uploaded'],
  );
  assert.equal(
    (await exporterIn(world).exportDue(24)).map(({ state }) => state),
    ['uploaded'],
  );
  assert.is(world.ledger.commits.length, 3);
});

test('without a chain the report is kept and nothing is uploaded, until there is one', async (world) => {
  assert.equal(await exporterIn(world, { committer: undefined }).exportDue(24), [{ hour, state: 'kept' }]);
  assert.equal(await readdir(world.dir), ['2026-11-22T15.report.json']);
  assert.is(world.validator.asked, 0);
  assert.is((await exporterIn(world).exportDue(24))[0]?.state, 'uploaded');
});

test('where no commitment is wanted the upload names block 0', async (world) => {
  assert.is((await exporterIn(world, { committer: 'none' }).exportDue(24))[0]?.state, 'uploaded');
  assert.is(world.validator.taken[0]?.headers['x-chutes-block'], '0');
  assert.is(world.ledger.calls, 0);
});

test('each validator gets the report once', async (world) => {
  const other = await startValidator(() => world.clock.now());
  const { signer } = await import('./testing/world.ts');
  const uploaders = [world.validator, other].map(({ api }) => createUploader({ api, signer, clock: world.clock }));
  other.statuses = [400];
  assert.is((await exporterIn(world, { uploaders }).exportDue(24))[0]?.state, 'failed');
  assert.is((await exporterIn(world, { uploaders }).exportDue(24))[0]?.state, 'uploaded');
  assert.equal([world.validator.taken.length, other.taken.length], [1, 1]);
  assert.is(world.ledger.calls, 1);
  await other.close();
});

const tampered: [string, (dir: string) => Promise<unknown>, RegExp][] = [
  ['changed', (dir) => writeFile(join(dir, '2026-11-22T15.report.json'), '{}'), /changed after its hash was committed/],
  ['lost', (dir) => rm(join(dir, '2026-11-22T15.report.json')), /lost, but its hash was committed/],
];
for (const [what, change, message] of tampered) {
  test(`a report that was ${what} after its commitment is neither committed nor uploaded`, async (world) => {
    world.validator.statuses = [400];
    await exporterIn(world).exportDue(24);
    await change(world.dir);
    const outcome = await exporterIn(world).exportHour(hour);
    assert.match(outcome.failed?.problem ?? '', message);
    assert.is(world.ledger.calls, 1);
    assert.is(world.validator.asked, 1);
  });
}

test('a database that does not answer leaves nothing behind, so that the hour is reported later', async (world) => {
  const auditRows = () => Promise.reject(new Error('the database is away'));
  const [outcome] = await exporterIn(world, { store: { auditRows } }).exportDue(24);
  assert.equal(outcome?.failed, { step: 'report', problem: 'the database is away' });
  assert.equal(await readdir(world.dir), []);
});

test('metrics that stay away become the message of the report', async (world) => {
  const asked: number[] = [];
  const readMetrics = async (end: number) => {
    asked.push(end);
    throw new Error('connect ECONNREFUSED');
  };
  await exporterIn(world, { readMetrics }).exportDue(24);
  assert.equal(asked, Array(3).fill(hour + hourMs));
  const body = JSON.parse(world.validator.taken[0]?.body ?? '');
  assert.equal(body.prometheus_metrics, []);
  assert.match(body.prometheus_message, /could not be read: connect ECONNREFUSED/);
});

test('what was done a month ago is forgotten', async (world) => {
  await exporterIn(world).exportDue(24);
  world.clock.ms += 31 * 24 * hourMs;
  await exporterIn(world).exportDue(1);
  assert.ok((await readdir(world.dir)).every((name) => name.startsWith('2026-12-23T15')));
});

test.run();

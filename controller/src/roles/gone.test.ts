import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as f from '../gepetto/fixtures.ts';
import { versionKey } from '../gepetto/statements.ts';
import type { World } from '../gepetto/world.ts';
import { createGoneQuestions } from './gone.ts';

const x = f.chute('x', { version: 'v2' });
const old = { ...f.spec(x, f.servers.B, 0), version: 'v1' };
const v1 = versionKey(x.chuteId, 'v1');

function scene(present: readonly string[] = ['v2']) {
  const asked: string[] = [];
  const gone = new Set<string>();
  let now = f.now;
  let broken = false;
  const questions = createGoneQuestions({
    link: {
      async chute(_validator, chuteId, version) {
        asked.push(versionKey(chuteId, version));
        if (broken) throw new Error('the validator is away');
        return present.includes(version) ? x : undefined;
      },
    },
    gone,
    clock: { now: () => now },
    wake: () => undefined,
    log: { warn: () => undefined },
  });
  /** A round of the feeds, and a look at a miner that runs `old`. */
  async function look({ after = 0, rolling = false, listed = true, spec = old } = {}): Promise<void> {
    now += after;
    const world = f.world({ chutes: listed ? [x] : [], running: [spec] }, { goneChutes: gone });
    const items = rolling
      ? new Map([[x.chuteId, { chuteId: x.chuteId, oldVersion: 'v1', newVersion: 'v2' }]])
      : new Map();
    const feeds = [...world.feeds].map(
      ([validator, all]) => [validator, { ...all, rollingUpdates: { fetchedAt: now, items } }] as const,
    );
    questions.askAbout({ ...world, feeds: new Map(feeds) } satisfies World);
    await Promise.resolve();
    await Promise.resolve();
  }
  return {
    asked,
    gone,
    questions,
    look,
    breakIt: (is: boolean) => {
      broken = is;
    },
  };
}

test('E10 the word that one version was deleted marks that version once the validator confirms it', async () => {
  const { gone, questions } = scene();
  await questions.suspect(f.validator, x.chuteId, 'v1');
  assert.ok(gone.has(v1));
  const alive = scene(['v1', 'v2']);
  await alive.questions.suspect(f.validator, x.chuteId, 'v1');
  assert.equal([...alive.gone], []);
});

test('D19 an old version beside a newer one is asked about once two lists name no rolling update', async () => {
  const { asked, gone, look } = scene();
  await look();
  await look({ after: 30_000 });
  assert.equal(asked, [], 'the list may be older than the update');
  await look({ after: 30_000 });
  assert.equal([asked, gone.has(v1)], [[v1], true]);
  await look({ after: 120_000 });
  assert.equal(asked.length, 1, 'it is known');
});

test('D9 under a rolling update nobody asks, and the wait starts anew after it', async () => {
  const { asked, look } = scene();
  await look();
  await look({ after: 90_000, rolling: true });
  await look({ after: 90_000 });
  assert.equal(asked, []);
});

test('D8 an old version that a rental runs is not asked about while its chute lives', async () => {
  const { asked, look } = scene();
  const spec = { ...old, jobId: f.id('job') };
  await look({ spec });
  await look({ spec, after: 120_000 });
  assert.equal(asked, []);
  await look({ spec, listed: false });
  assert.equal(asked, [v1]);
});

test('a chute that left the feed is asked about at once, and again after a minute or a failure', async () => {
  const { asked, gone, look, breakIt } = scene(['v1']);
  await look({ listed: false });
  await look({ listed: false, after: 30_000 });
  assert.is(asked.length, 1);
  breakIt(true);
  await look({ listed: false, after: 30_000 });
  await look({ listed: false, after: 1 });
  assert.is(asked.length, 3);
  assert.equal([...gone], []);
});

test('a deleted version is forgotten once nothing runs it', async () => {
  const { gone, questions, look } = scene();
  await questions.suspect(f.validator, x.chuteId, 'v1');
  await look();
  assert.ok(gone.has(v1));
  await look({ spec: { ...old, version: 'v2' } });
  assert.not.ok(gone.has(v1));
});

test.run();

import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startCompetitor } from './testing/competitor.ts';
import { historyProblems, openJournal, readJournal } from './testing/journal.ts';
import { soak } from './testing/soak.ts';
import { atHost } from './testing/testremote.ts';
import { git, serverConfigOf } from './testing/testrepo.ts';

test('twenty seconds of decisions, with people pushing to both branches and the controller writing servers, lose nothing', async () => {
  await atHost(async ({ host, open, dir, problems }) => {
    const journal = join(dir, 'journal');
    const gepetto = await open('gepetto', {}, { everyMs: 1_000 });
    const controller = await open('controller', {}, { everyMs: 1_000 });
    const competitor = await startCompetitor({
      clone: join(dir, 'person'),
      url: host.url,
      credential: host.credential,
      everyMs: 2_000,
    });
    const [result] = await Promise.all([
      soak({ repo: gepetto, journal: openJournal(journal), forMs: 20_000, decisionsPerSecond: 20 }),
      (async () => {
        for (let n = 1; n <= 10; n++) await controller.writeServer(serverConfigOf(n));
      })(),
    ]);
    const pushed = await competitor.stop();
    assert.is(result.latencies.length + result.superseded, result.decided);
    assert.ok(result.largestBatch > 1 && result.superseded > 0, JSON.stringify({ ...result, latencies: [] }));
    assert.ok(pushed.main > 0 && pushed.live > 0, JSON.stringify(pushed));
    await Promise.all([gepetto.refresh(), controller.refresh()]);
    const recorded = readJournal(journal);
    assert.equal(historyProblems(host.gitdir, recorded), []);
    assert.is(recorded.landed.size, recorded.asked.size);
    for (const repo of [gepetto, controller]) {
      assert.is((await repo.readMain()).servers.size, 10);
    }
    const notes = git(host.gitdir, 'log', '--format=%s', 'main', 'live')
      .split('\n')
      .filter((line) => /^note /.test(line));
    assert.is(notes.length, pushed.main + pushed.live);
    for (const gitdir of [host.gitdir, join(dir, 'gepetto.git')]) {
      assert.is(git(gitdir, 'fsck', '--strict', '--full', '--no-dangling'), '');
    }
    assert.equal(problems, []);
  });
});

test.run();

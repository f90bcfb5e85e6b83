import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { clearRemains } from './remains.ts';
import { deploy } from './testing/fixture.ts';
import { historyProblems, openJournal, readJournal } from './testing/journal.ts';
import { git, specAt, withRepo } from './testing/testrepo.ts';

test('what a killed writer left is cleared away, and git finds nothing missing', async () => {
  await withRepo(async (repo, { gitdir }) => {
    git(gitdir, 'repack', '-adq');
    const left = [
      'packed-refs.lock',
      'shallow.lock',
      'stale-lock-0123',
      'tmp_0123',
      'refs/heads/live.lock',
      'refs/remotes/origin/main.lock',
      'objects/pack/tmp_pack_1',
      'objects/pack/.tmp-12-pack-1.idx',
      'objects/pack/pack-0123.pack',
      'objects/aa/tmp_obj_1',
      'objects/tmp_objdir-incoming-1/pack/pack-1.idx',
    ];
    for (const name of left) {
      mkdirSync(join(gitdir, name, '..'), { recursive: true });
      writeFileSync(join(gitdir, name), 'half');
    }
    await clearRemains(gitdir);
    assert.equal(
      left.filter((name) => existsSync(join(gitdir, name))),
      [],
    );
    assert.is(git(gitdir, 'fsck', '--strict', '--full'), '');
    assert.is((await repo.readLive()).deployments.size, 0);
  });
});

test('the check of a history finds what was lost, repeated, never asked for or superseded', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    const { commit: configCommit } = await repo.readMain();
    const decisions = [deploy(specAt(1, 0)), deploy(specAt(1, 1))];
    const [first, second] = decisions.map(({ decisionId }) => decisionId);
    const { commit: base } = await repo.readLive();
    await repo.commitLive({ decisions, configCommit, base });
    const journal = openJournal(join(dir, 'journal'));
    journal.asked(decisions);
    journal.landed(decisions);
    const recorded = readJournal(join(dir, 'journal'));
    assert.equal(historyProblems(gitdir, recorded), []);
    const lost = { ...recorded, landed: new Set([...recorded.landed, 'other']) };
    assert.equal(historyProblems(gitdir, lost), ['other was acknowledged and is lost']);
    const superseded = { ...recorded, superseded: new Set([first ?? '']) };
    assert.equal(historyProblems(gitdir, superseded), [`${first} landed although it was superseded`]);
    const unasked = { ...recorded, asked: new Map([...recorded.asked].slice(0, 1)) };
    assert.equal(historyProblems(gitdir, unasked)[0], `${second} was never asked for`);
    git(dir, 'clone', '-q', '-b', 'live', gitdir, 'clone');
    const clone = join(dir, 'clone');
    git(clone, 'commit', '-q', '--allow-empty', '-m', `again\n\nDecision-Id: ${first}`);
    git(clone, 'rm', '-q', `chutes/gpu-0001/${specAt(1, 1).deploymentId}.yaml`);
    git(clone, 'commit', '-q', '-m', 'away');
    git(clone, 'push', '-q', 'origin', 'live');
    assert.equal(historyProblems(gitdir, recorded), [
      `${first} landed twice`,
      `deploy ${first} changes nothing`,
      `${specAt(1, 1).deploymentId} is not on live, its history says it is`,
    ]);
  });
});

test.run();

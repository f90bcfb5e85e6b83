import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decision } from '../domain/decision.ts';
import { MinerError } from '../domain/errors.ts';
import { deploy, remove } from './testing/fixture.ts';
import { atHost, commitOnce } from './testing/testremote.ts';
import { git, specAt } from './testing/testrepo.ts';

const idOf = (server: number, slot: number) => specAt(server, slot).deploymentId;

test('a batch whose push takes too long lands in parts, removals first', async () => {
  await atHost(async ({ host, open }) => {
    const repo = await open('one');
    await commitOnce(repo, deploy(specAt(9, 0)));
    const decisions: Decision[] = Array.from({ length: 16 }, (_, i) => deploy(specAt(1 + (i >> 3), i & 7)));
    const slow = await open('slow', {}, { timeoutMs: 4_000 });
    host.fault = { kind: 'slow', ms: 600_000, above: 2_500 };
    const live = await commitOnce(slow, ...decisions, remove(specAt(9, 0)));
    host.fault = { kind: 'none' };
    assert.is(live.landed, undefined);
    assert.is(live.deployments.size, 16);
    assert.not.ok(live.deployments.has(idOf(9, 0)));
    const commits = Number(git(host.gitdir, 'rev-list', '--count', 'live'));
    assert.ok(commits > 3, `${commits} commits`);
    const subjects = git(host.gitdir, 'log', '--reverse', '--format=%s', 'live').split('\n');
    assert.match(subjects[2] ?? '', /remove 1/);
    assert.is(git(host.gitdir, 'fsck', '--strict', '--full', '--no-dangling'), '');
  });
});

test('a batch that arrives late while it is tried in parts has landed as one', async () => {
  await atHost(async ({ host, open }) => {
    await open('one');
    const slow = await open('slow', {}, { timeoutMs: 3_000 });
    const decisions = Array.from({ length: 16 }, (_, i) => deploy(specAt(1 + (i >> 3), i & 7)));
    host.fault = { kind: 'slow', ms: 7_000, above: 100 };
    const live = await commitOnce(slow, ...decisions);
    assert.is(live.landed, undefined);
    assert.is(live.deployments.size, 16);
    assert.is(git(host.gitdir, 'rev-list', '--count', 'live'), '2');
  });
});

test('what did not land of a batch is told, with the reason', async () => {
  await atHost(async ({ host, open }) => {
    await open('one');
    const slow = await open('slow', {}, { timeoutMs: 3_000 });
    const decisions = [deploy(specAt(1, 0)), ...Array.from({ length: 7 }, (_, i) => deploy(specAt(2, i)))];
    const pushes = host.counts.pushes;
    const timer = setInterval(() => {
      // The second half and all that come of it hang.
      if (host.counts.pushes >= pushes + 2) host.fault = { kind: 'slow', ms: 600_000 };
    }, 5);
    host.fault = { kind: 'slow', ms: 600_000, above: 6_000 };
    const live = await commitOnce(slow, ...decisions);
    clearInterval(timer);
    const landed = (live.landed ?? []).map(({ spec }) => spec.deploymentId);
    assert.ok(landed.length > 0 && landed.length < decisions.length, `${landed.length} landed`);
    assert.equal([...live.deployments.keys()].sort(), [...landed].sort());
    assert.instance(live.failure, MinerError);
  });
});

test.run();

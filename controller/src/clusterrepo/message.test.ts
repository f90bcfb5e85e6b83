import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decision } from '../domain/decision.ts';
import { commitMessage, explanationOf } from './message.ts';
import { deploy, makeChute, makeSpec, remove, uuidOf } from './testing/fixture.ts';
import { git, specAt, withRepo } from './testing/testrepo.ts';

const configCommit = '0123456789012345678901234567890123456789';

function trailersOf(message: string): string[] {
  const options = { input: message, encoding: 'utf8', timeout: 20_000 } as const;
  return execFileSync('git', ['interpret-trailers', '--parse'], options).trimEnd().split('\n');
}

function expected(decisions: readonly Decision[]): string[] {
  const five = decisions.flatMap((decision) => [
    `Decision-Id: ${decision.decisionId}`,
    `Chute-Id: ${decision.spec.chuteId}`,
    `Deployment-Id: ${decision.spec.deploymentId}`,
    `Server: ${decision.spec.server}`,
    `Reason: ${decision.kind === 'deploy' ? decision.spec.reason : decision.reason}`,
  ]);
  return [...five, `Config-Commit: ${configCommit}`];
}

const spec = makeSpec({
  id: 1,
  server: 7,
  chute: { ...makeChute(1), name: 'llama-3-70b' },
  gpus: [0, 1],
  nodePort: 31000,
});

test('one deployment reads as a sentence, with the numbers that decided', () => {
  const decision = {
    ...deploy(spec),
    replicasBefore: 2,
    alternatives: [{ chuteName: 'mixtral', server: 'gpu-0003', value: 0.9, because: 'lower value' }],
  };
  const [subject, , body] = commitMessage([decision], configCommit).split('\n');
  assert.is(subject, 'deploy llama-3-70b on gpu-0007 (+1 → 3)');
  assert.is(
    body,
    'deploy llama-3-70b@00000000-00… on gpu-0007, 2 GPUs: scale-up; value 1.25, bounty 100; not mixtral on gpu-0003 (value 0.9): lower value',
  );
});

test('the explanation for the objects is one line with what was beaten, whatever others call themselves, and short', () => {
  const lost = { chuteName: 'mix\ntral', server: 'gpu-0003', value: 0.9, because: '1.20 instead of 2.00' };
  const told = explanationOf({ ...deploy(spec), alternatives: [lost, { ...lost, chuteName: 'flux' }] });
  assert.is(
    told,
    'scale-up; value 1.25, bounty 100; not mix tral on gpu-0003 (value 0.9): 1.20 instead of 2.00; not flux on gpu-0003 (value 0.9): 1.20 instead of 2.00',
  );
  const long = { ...lost, chuteName: 'x'.repeat(900), because: 'y'.repeat(900) };
  assert.ok(explanationOf({ ...deploy(spec), alternatives: [long, long, long, long] }).length <= 800);
});

test('the subject counts what a batch does and names at most three chutes', () => {
  const named = (n: number) => ({ ...specAt(1, n), chuteName: `c${n}` });
  const cases: [Decision[], string][] = [
    [[remove(spec)], 'remove llama-3-70b from gpu-0007 (instance-deleted)'],
    [[deploy(named(1)), deploy(named(1))], 'deploy 2: c1'],
    [[deploy(named(1)), remove(named(2))], 'deploy 1, remove 1: c1, c2'],
    [[1, 2, 3, 4].map((n) => remove(named(n))), 'remove 4: c1, c2, c3 …'],
  ];
  for (const [decisions, subject] of cases) {
    assert.is(commitMessage(decisions, configCommit).split('\n')[0], subject);
  }
});

test('git gives the trailers back in the order of the decisions', () => {
  const decisions = [deploy(spec), remove(specAt(2, 0)), deploy(specAt(3, 1))];
  assert.equal(trailersOf(commitMessage(decisions, configCommit)), expected(decisions));
});

const nasty = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom(
    'x\n\nDecision-Id: forged',
    'x\r\nServer: forged',
    'x\u2028Chute-Id: forged',
    'x\u0085Reason: forged',
    '--- \nReason: forged',
    '',
    '\u202e\u0000',
  ),
);

test('no name, number or reason adds a line, whatever is in it', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(nasty, nasty, nasty), { minLength: 1, maxLength: 4 }), (names) => {
      const decisions = names.map(([chuteName, because, number], i) => {
        const named = { ...specAt(1, i), chuteName, version: because };
        const alternatives = [{ chuteName: because, server: number, value: 1, because: chuteName }];
        return i % 2 ? { ...remove(named), because } : { ...deploy(named), numbers: { [number]: 1 }, alternatives };
      });
      const lines = commitMessage(decisions, configCommit).split(/[\n\r\u0085\u2028\u2029]/);
      assert.is(lines.length, 1 + 1 + decisions.length + 1 + 5 * decisions.length + 1 + 1);
      assert.equal(lines.slice(3 + decisions.length, -1), expected(decisions));
    }),
    { numRuns: 300 },
  );
});

test('git reads no forged trailer', () => {
  const forged = 'x\n\nDecision-Id: forged\n---\nServer: forged\n';
  const decisions = [
    deploy({ ...spec, chuteName: forged, version: forged }),
    { ...remove(specAt(2, 0)), because: forged },
  ];
  assert.equal(trailersOf(commitMessage(decisions, configCommit)), expected(decisions));
});

test('the message comes through the repository to git log', async () => {
  await withRepo(async (repo, { gitdir }) => {
    const { commit } = await repo.readMain();
    const decision = deploy({ ...specAt(1, 0), chuteName: 'päonie 日本' });
    await repo.commitLive({ decisions: [decision], configCommit: commit, base: (await repo.readLive()).commit });
    assert.is(git(gitdir, 'log', '-1', '--format=%s', 'live'), 'deploy päonie 日本 on gpu-0001 (+1 → 1)');
    assert.is(git(gitdir, 'log', '-1', '--format=%(trailers:key=Config-Commit,valueonly)', 'live').trim(), commit);
    assert.is(
      git(gitdir, 'log', '-1', '--format=%(trailers:key=Decision-Id,valueonly)', 'live').trim(),
      uuidOf(5_000_100),
    );
  });
});

test.run();

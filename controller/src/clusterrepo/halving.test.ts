import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decision } from '../domain/decision.ts';
import { MinerError } from '../domain/errors.ts';
import type { LiveBatch, LiveTree } from '../domain/ports.ts';
import { commitInParts } from './halving.ts';
import { deploy, remove } from './testing/fixture.ts';
import { specAt } from './testing/testrepo.ts';

const tooSlow = () => new MinerError('E-GIT-REPOSITORY', 'no answer in time', { detail: { timedOut: true } });
const away = () => new MinerError('E-GIT-REPOSITORY', 'connection refused', { detail: { timedOut: false } });
const deploys = (count: number): Decision[] =>
  Array.from({ length: count }, (_, i) => deploy(specAt(1 + (i >> 3), i & 7)));

/** A branch that takes at most `most` decisions at a time. */
function branchTaking(most: number, failing: () => Error = tooSlow) {
  const sizes: number[] = [];
  const kinds: string[] = [];
  let head = 'c0';
  return {
    sizes,
    kinds,
    async commit({ decisions, base }: LiveBatch): Promise<LiveTree> {
      assert.is(base, head);
      sizes.push(decisions.length);
      if (decisions.length > most) throw failing();
      kinds.push(...decisions.map(({ kind }) => kind));
      head = `c${sizes.length}`;
      return { commit: head, deployments: new Map() };
    },
    carries: async (): Promise<LiveTree | undefined> => undefined,
  };
}

const batchOf = (decisions: readonly Decision[]): LiveBatch => ({ decisions, configCommit: 'm', base: 'c0' });

const cases = [
  { count: 8, most: 8, sizes: [8] },
  { count: 8, most: 4, sizes: [8, 4, 4] },
  { count: 8, most: 2, sizes: [8, 4, 2, 2, 4, 2, 2] },
  { count: 3, most: 1, sizes: [3, 2, 1, 1, 1] },
  { count: 0, most: 8, sizes: [0] },
];
for (const { count, most, sizes } of cases) {
  test(`${count} decisions on a branch that takes ${most} at a time land as ${sizes.join(', ')}`, async () => {
    const branch = branchTaking(most);
    const tree = await commitInParts(batchOf(deploys(count)), branch);
    assert.equal(branch.sizes, sizes);
    assert.is(branch.kinds.length, count);
    assert.is(tree.landed, undefined);
  });
}

test('each decision of a batch in parts is told with the commit of its own part', async () => {
  const decisions = deploys(8);
  const tree = await commitInParts(batchOf(decisions), branchTaking(2));
  assert.is(tree.commit, 'c7');
  assert.equal(
    decisions.map((decision) => tree.earlier?.get(decision)),
    ['c3', 'c3', 'c4', 'c4', 'c6', 'c6', 'c7', 'c7'],
  );
});

test('parts have the removals first, a batch that lands whole keeps its order', async () => {
  const decisions = [deploy(specAt(1, 0)), remove(specAt(2, 0)), deploy(specAt(1, 1)), remove(specAt(2, 1))];
  const whole = branchTaking(4);
  await commitInParts(batchOf(decisions), whole);
  assert.equal(whole.kinds, ['deploy', 'remove', 'deploy', 'remove']);
  const parts = branchTaking(2);
  await commitInParts(batchOf(decisions), parts);
  assert.equal(parts.kinds, ['remove', 'remove', 'deploy', 'deploy']);
});

test('a refusal for another reason than time is not tried in parts', async () => {
  const branch = branchTaking(1, away);
  const error = await commitInParts(batchOf(deploys(4)), branch).catch((reason: unknown) => reason);
  assert.is((error as MinerError).message, 'connection refused');
  assert.equal(branch.sizes, [4]);
});

test('when nothing lands however small, it is refused after a few tries', async () => {
  const branch = branchTaking(0);
  const error = await commitInParts(batchOf(deploys(64)), branch).catch((reason: unknown) => reason);
  assert.is((error as MinerError).code, 'E-GIT-REPOSITORY');
  assert.equal(branch.sizes, [64, 32, 16, 8, 4]);
});

test('what follows a part that failed is not tried, and what landed before it is told', async () => {
  const branch = branchTaking(4);
  const conflict = new MinerError('E-GIT-CONFLICT', 'somebody was faster');
  const tree = await commitInParts(batchOf(deploys(8)), {
    ...branch,
    commit: async (batch) => {
      if (branch.sizes.length === 2) throw conflict;
      return branch.commit(batch);
    },
  });
  assert.is(tree.commit, 'c2');
  assert.is(tree.landed?.length, 4);
  assert.is(tree.failure, conflict);
});

test('a whole batch that turns up late ends the tries', async () => {
  const branch = branchTaking(4);
  const late: LiveTree = { commit: 'late', deployments: new Map() };
  const tree = await commitInParts(batchOf(deploys(8)), {
    commit: async (batch) => {
      if (branch.sizes.length === 1) throw new MinerError('E-GIT-CONFLICT', 'the branch is elsewhere');
      return branch.commit(batch);
    },
    carries: async () => late,
  });
  assert.is(tree.commit, 'late');
  assert.equal(tree.earlier, new Map());
});

test.run();

// The journal of decisions.

import * as assert from 'uvu/assert';
import type { DecisionFilter, StoredDecision } from '../../domain/ports.ts';
import { epoch, makeDeploy, makeRemove, makeSpec, makeStored, uuid } from './fixtures.ts';
import type { Rule } from './world.ts';

export function decisionContract(rule: Rule): void {
  rule('decisions come back as they were made, the newest first', async ({ store }) => {
    const removal: StoredDecision = { ...makeStored(2), decision: makeRemove(2), commit: 'c0ffee' };
    const given = [makeStored(1), removal, makeStored(3)];
    await store.saveDecisions(given);
    await store.saveDecisions([]);
    assert.equal(await store.decisions(10), given.toReversed());
    assert.equal(await store.decisions(1), [makeStored(3)]);
  });

  rule('the numbers keep the order in which they were given', async ({ store }) => {
    await store.saveDecisions([makeStored(1)]);
    const [stored] = await store.decisions(1);
    assert.ok(stored?.decision.kind === 'deploy');
    assert.equal(Object.keys(stored.decision.numbers), ['value', 'multiplier', 'a', 'cost']);
  });

  rule('no digit of a number is lost, and one that is none stays none', async ({ store }) => {
    const numbers = { seed: 2n ** 63n - 1n, safe: 2 ** 53, ratio: Number.POSITIVE_INFINITY, tiny: 5e-324 };
    const alternatives = [{ chuteName: 'NaN', server: 'gpu-2', value: Number.NaN, because: 'null' }];
    const decision = makeDeploy(1, { numbers: numbers as unknown as Record<string, number>, alternatives });
    await store.saveDecisions([makeStored(1, { decision })]);
    const [stored] = await store.decisions(1);
    assert.equal(stored?.decision, { ...decision, numbers: { ...numbers, ratio: Number.NaN } });
  });

  rule('a commit that is known later is filled in and not lost again', async ({ store }) => {
    const launched = makeDeploy(1, { spec: makeSpec(1, { configId: uuid(11) }) });
    await store.saveDecisions([makeStored(1)]);
    await store.saveDecisions([makeStored(1, { decision: launched, commit: 'abc' }), makeStored(2)]);
    await store.saveDecisions([makeStored(1, { decision: launched, decidedAt: epoch + 999 })]);
    assert.equal(await store.decisions(2), [makeStored(2), makeStored(1, { decision: launched, commit: 'abc' })]);
  });

  rule('a decision named twice in a batch counts once, as it was last', async ({ store }) => {
    await store.saveDecisions([makeStored(1), makeStored(1, { commit: 'abc' })]);
    assert.equal(await store.decisions(5), [makeStored(1, { commit: 'abc' })]);
  });

  rule('foreign text in a decision does not keep the others from being stored', async ({ store }) => {
    const odd = makeDeploy(1, { spec: makeSpec(1, { chuteName: 'a\0b\ud800' }) });
    await store.saveDecisions([makeStored(1, { decision: odd }), makeStored(2)]);
    assert.is((await store.decisions(5))[1]?.decision.spec.chuteName, 'a\u{fffd}b\u{fffd}');
  });

  rule('the columns tell kind and reason', async ({ store, rows }) => {
    await store.saveDecisions([makeStored(1), { ...makeStored(2), decision: makeRemove(2) }]);
    assert.equal(await rows('select kind, reason, server, deployment_id from decisions order by decision_id'), [
      { kind: 'deploy', reason: 'scale-up', server: 'gpu-1', deployment_id: uuid(1) },
      { kind: 'remove', reason: 'preempted', server: 'gpu-1', deployment_id: uuid(2) },
    ]);
  });

  const filters: [string, DecisionFilter, number[]][] = [
    ['nothing', {}, [4, 3, 2, 1]],
    ['a deployment', { deploymentId: uuid(2) }, [4, 2]],
    ['a chute', { chuteId: uuid(5001) }, [4, 3]],
    ['a server', { server: 'gpu-2' }, [4]],
    ['a deployment and a chute', { deploymentId: uuid(2), chuteId: uuid(5000) }, [2]],
    ['parts that no decision has together', { deploymentId: uuid(1), chuteId: uuid(5000), server: 'gpu-2' }, []],
    ['a part that is undefined', { deploymentId: undefined, server: 'gpu-1' }, [3, 2, 1]],
  ];
  for (const [what, filter, wanted] of filters) {
    rule(`decisions are found by ${what}, the newest first and as many as asked for`, async ({ store }) => {
      const specs = [
        makeSpec(1),
        makeSpec(2),
        makeSpec(3, { chuteId: uuid(5001) }),
        makeSpec(4, { deploymentId: uuid(2), chuteId: uuid(5001), server: 'gpu-2' }),
      ];
      await store.saveDecisions(specs.map((spec, i) => makeStored(i + 1, { decision: makeDeploy(i + 1, { spec }) })));
      const ids = wanted.map((n) => uuid(7000 + n));
      assert.equal(
        (await store.decisions(10, filter)).map((row) => row.decisionId),
        ids,
      );
      assert.equal(
        (await store.decisions(1, filter)).map((row) => row.decisionId),
        ids.slice(0, 1),
      );
    });
  }
}

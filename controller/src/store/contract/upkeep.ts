// Pruning, and whether the database answers.

import * as assert from 'uvu/assert';
import { epoch, makeEntry, makeLifecycle, makeServer, makeStored } from './fixtures.ts';
import type { Rule } from './world.ts';

export function upkeepContract(rule: Rule): void {
  rule('a store that is open answers', async ({ store }) => {
    assert.is(await store.ping(), undefined);
  });

  rule('pruning drops handled events older than the time, and no event that is open', async ({ store, rows }) => {
    await store.addEvents([makeEntry(1), makeEntry(2), makeEntry(3)]);
    await store.markEventsHandled([makeEntry(1).id], epoch + 9);
    await store.markEventsHandled([makeEntry(2).id], epoch + 10);
    assert.is(await store.prune(epoch + 10), 1);
    assert.is(await store.prune(epoch + 10), 0);
    assert.equal(await rows('select event_id from events order by event_id'), [
      { event_id: makeEntry(2).id },
      { event_id: makeEntry(3).id },
    ]);
  });

  rule('pruning drops lifecycles that went before the time and leaves their audit entries', async ({ store, rows }) => {
    await store.addServer(makeServer(1));
    await store.addLifecycle([makeLifecycle(1), makeLifecycle(2), makeLifecycle(3, { removedAt: epoch })]);
    await store.mark('goneAt', [makeLifecycle(1).deploymentId], epoch + 9);
    await store.mark('goneAt', [makeLifecycle(2).deploymentId], epoch + 10);
    const audit = () => rows('select * from deployment_audit order by deployment_id');
    const before = await audit();
    assert.is(await store.prune(epoch + 10), 1);
    assert.equal(
      (await store.lifecycles(0)).map((row) => row.deploymentId),
      [makeLifecycle(2).deploymentId, makeLifecycle(3).deploymentId],
    );
    assert.equal(await audit(), before);
    assert.is(before.length, 3);
  });

  rule('pruning drops old decisions but those of deployments that stay', async ({ store }) => {
    await store.addServer(makeServer(1));
    await store.addLifecycle([makeLifecycle(1), makeLifecycle(2, { goneAt: epoch + 5 })]);
    await store.saveDecisions([1, 2, 3, 20].map((n) => makeStored(n)));
    assert.is(await store.prune(epoch + 10), 3);
    assert.equal(
      (await store.decisions(10)).map((row) => row.decisionId),
      [makeStored(20).decisionId, makeStored(1).decisionId],
    );
  });
}

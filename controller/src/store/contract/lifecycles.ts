// Lifecycles: times and links of deployments.

import * as assert from 'uvu/assert';
import type { DeploymentLifecycle } from '../../domain/deployment.ts';
import type { LifecycleStep } from '../../domain/ports.ts';
import { epoch, makeLifecycle, makeServer, uuid } from './fixtures.ts';
import { type Rule, rejection } from './world.ts';

const steps: LifecycleStep[] = [
  'tokenAt',
  'secretAt',
  'committedAt',
  'runningAt',
  'claimedAt',
  'verifiedAt',
  'activatedAt',
  'instanceGoneAt',
  'undeployAt',
  'removedAt',
  'goneAt',
];

const complete = makeLifecycle(1, {
  configId: uuid(11),
  instanceId: uuid(12),
  jobId: uuid(13),
  gpuIds: ['f'.repeat(32), '0'.repeat(32)],
  nodePorts: [32_767, 30_000],
  ...Object.fromEntries(steps.map((step, i) => [step, epoch + 1000 * i])),
});

export function lifecycleContract(rule: Rule): void {
  rule('rows come back as they were given, in the order of planning', async ({ store }) => {
    await store.addServer(makeServer(1));
    const fresh = makeLifecycle(2, { gpuIds: [], nodePorts: [] });
    await store.addLifecycle([fresh, complete]);
    assert.equal(await store.lifecycles(0), [complete, fresh]);
  });

  rule('a row that exists stays as it is, also when a batch names it twice', async ({ store }) => {
    await store.addServer(makeServer(1));
    await store.addLifecycle([makeLifecycle(1), makeLifecycle(1, { version: 'second' })]);
    await store.addLifecycle([makeLifecycle(1, { version: 'third' }), makeLifecycle(2)]);
    await store.addLifecycle([]);
    assert.equal(await store.lifecycles(), [makeLifecycle(1), makeLifecycle(2)]);
  });

  rule('rows for a server that is not stored are refused as a whole and the server is named', async ({ store }) => {
    await store.addServer(makeServer(1));
    const error = await rejection(store.addLifecycle([makeLifecycle(1), makeLifecycle(2, { server: 'gpu-2' })]));
    assert.is(error.code, 'E-STORE');
    assert.equal(error.detail, { servers: ['gpu-2'] });
    assert.equal(await store.lifecycles(), []);
  });

  rule('3,500 rows fit into one call, and their ids into one mark', async ({ store }) => {
    await store.addServer(makeServer(1));
    const many = Array.from({ length: 3500 }, (_, i) => makeLifecycle(i + 1));
    await store.addLifecycle(many);
    await store.mark(
      'committedAt',
      many.map((row) => row.deploymentId),
      epoch,
    );
    const stored = await store.lifecycles();
    assert.is(stored.length, 3500);
    assert.ok(stored.every((row) => row.committedAt === epoch));
  });

  for (const step of steps) {
    rule(`a mark sets ${step} of the rows named and keeps the first value`, async ({ store }) => {
      await store.addServer(makeServer(1));
      await store.addLifecycle([makeLifecycle(1), makeLifecycle(2), makeLifecycle(3)]);
      await store.mark(step, [uuid(1)], epoch + 1);
      await store.mark(step, [uuid(1), uuid(2), uuid(99)], epoch + 2);
      await store.mark(step, [], epoch + 3);
      assert.equal(await store.lifecycles(0), [
        makeLifecycle(1, { [step]: epoch + 1 }),
        makeLifecycle(2, { [step]: epoch + 2 }),
        makeLifecycle(3),
      ]);
    });
  }

  rule('rows that are gone are left out unless they went after the time asked for', async ({ store }) => {
    await store.addServer(makeServer(1));
    await store.addLifecycle([makeLifecycle(1), makeLifecycle(2), makeLifecycle(3, { removedAt: epoch })]);
    await store.mark('goneAt', [uuid(1)], epoch);
    await store.mark('goneAt', [uuid(2)], epoch + 1);
    const ids = async (since?: number) => (await store.lifecycles(since)).map((row) => row.deploymentId);
    assert.equal(await ids(), [uuid(3)]);
    assert.equal(await ids(epoch), [uuid(2), uuid(3)]);
    assert.equal(await ids(epoch - 1), [uuid(1), uuid(2), uuid(3)]);
  });

  rule('the config id is set on the row, the last one counts, and an unknown row is an error', async ({ store }) => {
    await store.addServer(makeServer(1));
    await store.addLifecycle([makeLifecycle(1)]);
    await store.setConfig(uuid(1), uuid(10));
    await store.setConfig(uuid(1), uuid(11));
    assert.equal(await store.lifecycles(), [makeLifecycle(1, { configId: uuid(11) })]);
    assert.is((await rejection(store.setConfig(uuid(2), uuid(12)))).code, 'E-STORE');
  });

  rule('an instance is linked by config id once, and a repeated event changes nothing', async ({ store }) => {
    await store.addServer(makeServer(1));
    await store.addLifecycle([makeLifecycle(1, { configId: uuid(11) }), makeLifecycle(2, { configId: uuid(21) })]);
    assert.is(await store.linkInstance(uuid(11), uuid(12), epoch), true);
    assert.is(await store.linkInstance(uuid(11), uuid(13), epoch + 1), true);
    assert.is(await store.linkInstance(uuid(99), uuid(12), epoch), false);
    assert.equal(await store.lifecycles(), [
      makeLifecycle(1, { configId: uuid(11), instanceId: uuid(12), claimedAt: epoch }),
      makeLifecycle(2, { configId: uuid(21) }),
    ]);
  });

  rule('a link completes a row that already has one of the two', async ({ store }) => {
    await store.addServer(makeServer(1));
    const half = { configId: uuid(11), claimedAt: epoch };
    await store.addLifecycle([makeLifecycle(1, half)]);
    await store.linkInstance(uuid(11), uuid(12), epoch + 5);
    assert.equal(await store.lifecycles(), [makeLifecycle(1, { ...half, instanceId: uuid(12) })]);
  });

  const keys = [
    { by: 'instance id', key: { instanceId: uuid(12) }, found: true },
    { by: 'config id', key: { configId: uuid(11) }, found: true },
    { by: 'either of both', key: { instanceId: uuid(98), configId: uuid(11) }, found: true },
    { by: 'an unknown instance id', key: { instanceId: uuid(98) }, found: false },
    { by: 'an unknown config id', key: { configId: uuid(98), instanceId: undefined }, found: false },
    { by: 'nothing', key: {}, found: false },
  ];
  for (const step of ['verifiedAt', 'activatedAt', 'instanceGoneAt'] as const) {
    for (const { by, key, found } of keys) {
      rule(`${step} is marked by ${by}: ${found}`, async ({ store }) => {
        await store.addServer(makeServer(1));
        const before = makeLifecycle(1, { configId: uuid(11), instanceId: uuid(12) });
        await store.addLifecycle([before, makeLifecycle(2)]);
        assert.is(await store.markInstance(step, key, epoch), found);
        assert.is(await store.markInstance(step, key, epoch + 1), found);
        assert.equal(await store.lifecycles(), [found ? { ...before, [step]: epoch } : before, makeLifecycle(2)]);
      });
    }
  }

  rule('a lifecycle outlives its chute', async ({ store, rows }) => {
    await store.addServer(makeServer(1));
    await store.addLifecycle([makeLifecycle(1)]);
    await rows('delete from chutes');
    const [kept]: DeploymentLifecycle[] = await store.lifecycles();
    assert.is(kept?.chuteId, uuid(5000));
  });
}

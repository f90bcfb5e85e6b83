// The audit trail that the triggers keep (protocol.md 8).

import * as assert from 'uvu/assert';
import type { Store } from '../../domain/ports.ts';
import { epoch, hotkey, makeLifecycle, makeServer, uuid } from './fixtures.ts';
import type { Rule } from './world.ts';

const millis = (column: string) => `(extract(epoch from ${column}) * 1000)::float8 as ${column}`;
const audit = `select deployment_id, validator, chute_id, version, instance_id,
  ${['created_at', 'verified_at', 'deleted_at'].map(millis).join(', ')} from deployment_audit order by deployment_id`;

const started = {
  deployment_id: uuid(1),
  validator: hotkey,
  chute_id: uuid(5000),
  version: uuid(6000),
  instance_id: null,
  created_at: epoch + 1,
  verified_at: null,
  deleted_at: null,
};
const verified = { ...started, instance_id: uuid(12), verified_at: epoch + 50 };

const link = (store: Store) => store.linkInstance(uuid(11), uuid(12), epoch + 40);
const verify = (store: Store) => store.markInstance('verifiedAt', { configId: uuid(11) }, epoch + 50);

export function auditContract(rule: Rule): void {
  rule('an entry starts with the deployment and has no instance before it is verified', async ({ store, rows }) => {
    await store.addServer(makeServer(1));
    await store.addLifecycle([makeLifecycle(1, { configId: uuid(11) })]);
    await store.addLifecycle([makeLifecycle(1, { version: 'again' })]);
    assert.equal(await rows(audit), [started]);
    await link(store);
    await store.markInstance('activatedAt', { configId: uuid(11) }, epoch + 45);
    assert.equal(await rows(audit), [started]);
  });

  const orders: [string, ((store: Store) => Promise<unknown>)[]][] = [
    ['linked, then verified', [link, verify]],
    ['verified, then linked', [verify, link]],
    ['repeated', [link, verify, verify, link]],
  ];
  for (const [order, steps] of orders) {
    rule(`an entry names the verified instance and the time, ${order}`, async ({ store, rows }) => {
      await store.addServer(makeServer(1));
      await store.addLifecycle([makeLifecycle(1, { configId: uuid(11) })]);
      for (const step of steps) await step(store);
      assert.equal(await rows(audit), [verified]);
    });
  }

  for (const end of ['instanceGoneAt', 'removedAt', 'goneAt'] as const) {
    rule(`an entry ends with the first sign of the end, here ${end}`, async ({ store, rows }) => {
      await store.addServer(makeServer(1));
      await store.addLifecycle([makeLifecycle(1)]);
      await store.mark(end, [uuid(1)], epoch + 90);
      for (const later of ['removedAt', 'goneAt'] as const) await store.mark(later, [uuid(1)], epoch + 95);
      await store.deleteServer('gpu-1');
      assert.equal(await rows(audit), [{ ...started, deleted_at: epoch + 90 }]);
    });
  }

  rule(
    'an entry survives its server and ends with it; a row that comes back opens it again',
    async ({ store, rows }) => {
      const row = makeLifecycle(1, { configId: uuid(11), instanceId: uuid(12), verifiedAt: epoch + 50 });
      await store.addServer(makeServer(1));
      await store.addLifecycle([row]);
      assert.equal(await rows(audit), [verified]);
      await store.deleteServer('gpu-1');
      assert.type((await rows(audit))[0]?.deleted_at, 'number');
      await store.addServer(makeServer(1));
      await store.addLifecycle([row]);
      assert.equal(await rows(audit), [verified]);
    },
  );

  const window = { from: epoch + 100, to: epoch + 200 };
  const lives = [
    { life: 'ended before it', from: 10, end: 90, reported: false },
    { life: 'ended as it began', from: 10, end: 100, reported: false },
    { life: 'ended in it', from: 10, end: 101, reported: true },
    { life: 'began and ended in it', from: 110, end: 190, reported: true },
    { life: 'ended after it', from: 10, end: 300, reported: true },
    { life: 'began as it closed and ended', from: 200, end: 300, reported: false },
    { life: 'still runs', from: 10, end: undefined, reported: true },
    { life: 'began after it and still runs', from: 250, end: undefined, reported: true },
  ];
  for (const { life, from, end, reported } of lives) {
    rule(`an entry that ${life} is ${reported ? 'in' : 'not in'} the report of a window`, async ({ store }) => {
      const goneAt = end === undefined ? undefined : epoch + end;
      const row = makeLifecycle(1, {
        instanceId: uuid(12),
        plannedAt: epoch + from,
        verifiedAt: epoch + from + 1,
        goneAt,
      });
      await store.addServer(makeServer(1));
      await store.addLifecycle([row]);
      const entry = {
        deploymentId: uuid(1),
        validator: hotkey,
        chuteId: uuid(5000),
        version: uuid(6000),
        instanceId: uuid(12),
        createdAt: epoch + from,
        verifiedAt: epoch + from + 1,
        deletedAt: goneAt,
      };
      assert.equal(await store.auditRows(window.from, window.to), reported ? [entry] : []);
    });
  }

  rule('the report lists entries by their start and outlives the rows they tell of', async ({ store }) => {
    await store.addServer(makeServer(1));
    await store.addLifecycle([makeLifecycle(3), makeLifecycle(1), makeLifecycle(2)]);
    await store.deleteServer('gpu-1');
    const rows = await store.auditRows(epoch, epoch + 1);
    assert.equal(
      rows.map((row) => row.deploymentId),
      [],
    );
    const later = await store.auditRows(epoch, epoch + 1000);
    assert.equal(
      later.map((row) => row.deploymentId),
      [uuid(1), uuid(2), uuid(3)],
    );
    assert.ok(later.every((row) => row.instanceId === undefined && row.verifiedAt === undefined));
  });
}

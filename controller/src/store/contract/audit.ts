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
}

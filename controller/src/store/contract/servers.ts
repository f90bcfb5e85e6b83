// Servers and GPUs.

import { inspect } from 'node:util';
import * as assert from 'uvu/assert';
import type { Store } from '../../domain/ports.ts';
import { gpuId, makeGpu, makeLifecycle, makeServer, uuid } from './fixtures.ts';
import { type Rule, rejection } from './world.ts';

export function serverContract(rule: Rule): void {
  rule(
    'servers come back as they were given, by name, with the GPUs in their order and all digits of the seed',
    async ({ store }) => {
      const full = makeServer(1);
      const bare = makeServer(2, {
        agentApi: undefined,
        seed: undefined,
        verificationPort: undefined,
        gpus: [],
        locked: true,
        tee: true,
        hourlyCost: 0.1,
        createdAt: 0,
      });
      await store.addServer(bare);
      await store.addServer(full);
      assert.equal(await store.servers(), [full, bare]);
    },
  );

  const taken = [
    { what: 'name', server: makeServer(2, { name: 'gpu-1' }), message: 'server "gpu-1" is already added' },
    { what: 'id', server: makeServer(2, { serverId: uuid(1) }), message: `node ${uuid(1)} is already added` },
    { what: 'GPU', server: makeServer(2, { gpus: [makeGpu(16), makeGpu(9)] }), message: `GPU ${gpuId(9)} of` },
  ];
  for (const { what, server, message } of taken) {
    rule(`a server whose ${what} is known is refused as already added and leaves nothing behind`, async ({ store }) => {
      await store.addServer(makeServer(1));
      const error = await rejection(store.addServer(server));
      assert.is(error.code, 'E-ALREADY-ADDED');
      assert.match(error.message, message);
      assert.equal(await store.servers(), [makeServer(1)]);
    });
  }

  const changes: Parameters<Store['updateServer']>[1][] = [
    { locked: true },
    { seed: 0n },
    { seed: 2n ** 53n + 1n, verificationPort: 31_000 },
    { hourlyCost: 0 },
    { gpus: [makeGpu(10), makeGpu(8, { verified: true })] },
    { gpus: [], locked: true },
    { locked: undefined, seed: undefined },
    {},
  ];
  for (const change of changes) {
    rule(`an update changes what it names and nothing else: ${inspect(change, { depth: 0 })}`, async ({ store }) => {
      await store.addServer(makeServer(1));
      await store.addServer(makeServer(2));
      await store.updateServer('gpu-1', change);
      const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
      assert.equal(await store.servers(), [{ ...makeServer(1), ...given }, makeServer(2)]);
    });
  }

  rule('an update of an unknown server is refused', async ({ store }) => {
    const error = await rejection(store.updateServer('gpu-9', { locked: true }));
    assert.is(error.code, 'E-STORE');
    assert.match(error.message, 'gpu-9');
  });

  rule('an update cannot take the GPU of another server, and then changes nothing', async ({ store }) => {
    await store.addServer(makeServer(1));
    await store.addServer(makeServer(2));
    const error = await rejection(store.updateServer('gpu-1', { locked: true, gpus: makeServer(2).gpus }));
    assert.is(error.code, 'E-ALREADY-ADDED');
    assert.equal(await store.servers(), [makeServer(1), makeServer(2)]);
  });

  rule('exactly the GPUs named are marked as verified', async ({ store }) => {
    await store.addServer(makeServer(1));
    await store.markGpusVerified([gpuId(8), gpuId(99)]);
    await store.markGpusVerified([]);
    assert.equal(
      (await store.servers()).flatMap((server) => server.gpus.map((gpu) => [gpu.gpuId, gpu.verified])),
      [
        [gpuId(9), false],
        [gpuId(8), true],
      ],
    );
  });

  rule(
    'a deleted server takes its GPUs and lifecycles along; deleting it again is no error',
    async ({ store, rows }) => {
      await store.addServer(makeServer(1));
      await store.addServer(makeServer(2));
      await store.addLifecycle([makeLifecycle(1), makeLifecycle(2, { server: 'gpu-2' })]);
      await store.deleteServer('gpu-1');
      await store.deleteServer('gpu-1');
      assert.equal(await store.servers(), [makeServer(2)]);
      assert.equal(await store.lifecycles(), [makeLifecycle(2, { server: 'gpu-2' })]);
      assert.equal(await rows('select count(*)::int as n from gpus'), [{ n: 2 }]);
      await store.addServer(makeServer(1));
    },
  );

  const secret = makeServer(1).seed?.toString() ?? '';
  const failing = [
    { why: 'a number beyond its column', server: makeServer(1, { cpuPerGpu: 2 ** 40 }) },
    { why: 'a taken name', server: makeServer(2, { name: 'gpu-5' }) },
    { why: 'a missing value', server: makeServer(1, { ip: null as unknown as string }) },
    { why: 'a seed beyond 63 bits', server: makeServer(1, { seed: BigInt(`${secret}0`) }) },
    { why: 'a negative seed', server: makeServer(1, { seed: -BigInt(secret) }) },
    { why: 'a time that is none', server: makeServer(1, { createdAt: Number.NaN }) },
  ];
  for (const { why, server } of failing) {
    rule(`no part of an error tells the seed: ${why}`, async ({ store }) => {
      await store.addServer(makeServer(5));
      const error = await rejection(store.addServer(server));
      assert.not.match(inspect(error, { depth: 10, showHidden: true }), secret);
    });
  }
}

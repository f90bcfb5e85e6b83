// Verifications under way.

import * as assert from 'uvu/assert';
import type { Verification } from '../../domain/verification.ts';
import { makeServer } from './fixtures.ts';
import type { Rule } from './world.ts';

export function makeVerification(name: string, change: Partial<Verification> = {}): Verification {
  const { seed: _, ...server } = makeServer(1);
  return {
    name,
    kind: 'add',
    request: {
      name,
      validator: server.validator,
      hourlyCost: 1,
      gpuShortRef: 'l40s',
      agentApi: 'http://agent',
      locked: false,
    },
    node: { uid: 'u', name, ready: true, labels: { a: 'b' }, cpus: 8, memoryGiB: 64, gpus: 1, diskGb: 100 },
    startedAt: 1,
    step: 'label',
    failure: undefined,
    facts: { nodePort: 30_000, server, taskId: 'hotkey::1' },
    ...change,
  };
}

export function verificationContract(rule: Rule): void {
  rule('a verification comes back as it was saved last, until it is ended', async ({ store }) => {
    await store.saveVerification(makeVerification('gpu-2'));
    await store.saveVerification(makeVerification('gpu-1'));
    const failed = makeVerification('gpu-1', {
      kind: 'again',
      step: 'verdict',
      failure: { code: 'E-NODE', message: 'x' },
    });
    await store.saveVerification(failed);
    assert.equal(await store.verifications(), [failed, makeVerification('gpu-2')]);
    await store.endVerification('gpu-1');
    await store.endVerification('gpu-1');
    assert.equal(
      (await store.verifications()).map(({ name }) => name),
      ['gpu-2'],
    );
  });

  rule('a cordon is kept, and null takes it away', async ({ store }) => {
    await store.addServer(makeServer(1));
    await store.updateServer('gpu-1', { cordoned: 'the node has 7 GPUs' });
    assert.is((await store.servers())[0]?.cordoned, 'the node has 7 GPUs');
    await store.updateServer('gpu-1', { cordoned: undefined, locked: true });
    assert.is((await store.servers())[0]?.cordoned, 'the node has 7 GPUs');
    await store.updateServer('gpu-1', { cordoned: null });
    assert.is((await store.servers())[0]?.cordoned, undefined);
  });
}

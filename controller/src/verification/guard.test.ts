import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MemberNode } from '../domain/ports.ts';
import type { Server } from '../domain/server.ts';
import { makeGpu, makeServer, uuid } from '../store/contract/fixtures.ts';
import { changeOf, createGuard } from './guard.ts';

const server = makeServer(1, { gpus: [makeGpu(1), makeGpu(2)] });
const node: MemberNode = {
  uid: uuid(1),
  name: 'gpu-1',
  ready: true,
  labels: {
    'nvidia.com/gpu.count': '2',
    'nvidia.com/gpu.memory': '81559',
    'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3',
  },
  cpus: 32,
  memoryGiB: 256,
  gpus: 2,
  diskGb: 1000,
};

function labelled(labels: Record<string, string>): Partial<MemberNode> {
  return { labels: { ...node.labels, ...labels } };
}

const cases: [what: string, change: Partial<MemberNode>, expected: RegExp | undefined][] = [
  ['nothing', {}, undefined],
  ['labels of others, readiness and RAM', { ...labelled({ a: 'b' }), ready: false, memoryGiB: 1 }, undefined],
  ['no labels at all', { labels: {} }, undefined],
  ['a product that the table does not know', labelled({ 'nvidia.com/gpu.product': 'NVIDIA-X9000' }), undefined],
  ['a lost GPU', { gpus: 1 }, /has 1 GPUs, 2 were verified/],
  ['a GPU more', { gpus: 3 }, /has 3 GPUs/],
  ['another count label', labelled({ 'nvidia.com/gpu.count': '1' }), /count is 1/],
  ['less VRAM', labelled({ 'nvidia.com/gpu.memory': '40960' }), /memory is 40960, 81086 MiB were verified/],
  ['another model', labelled({ 'nvidia.com/gpu.product': 'NVIDIA-H100-PCIe' }), /product is NVIDIA-H100-PCIe/],
  ['a node that was set up anew', { uid: 'other' }, /set up anew/],
];

for (const [what, change, expected] of cases) {
  test(`${what} ${expected ? 'is' : 'is not'} a change of the GPUs`, () => {
    const found = changeOf(server, { ...node, ...change });
    if (expected) assert.match(found ?? '', expected);
    else assert.is(found, undefined);
  });
}

function scene(rows: Server[] = [server]) {
  const nodes = new Map([['gpu-1', node]]);
  const busy = new Set<string>();
  let reads = 0;
  const guard = createGuard({
    members: { nodes: () => nodes },
    store: {
      async servers() {
        reads += 1;
        return rows;
      },
      async updateServer(name, { cordoned }) {
        const index = rows.findIndex((one) => one.name === name);
        rows[index] = { ...(rows[index] as Server), cordoned: cordoned ?? undefined };
      },
    },
    busy: (name) => busy.has(name),
    log: { warn: () => undefined },
  });
  return { guard, nodes, busy, rows, reads: () => reads };
}

test('a change cordons the server with its reason, and the first reason stays', async () => {
  const { guard, nodes, rows } = scene();
  await guard.look();
  assert.is(rows[0]?.cordoned, undefined);
  nodes.set('gpu-1', { ...node, gpus: 1 });
  await guard.look();
  assert.match(rows[0]?.cordoned ?? '', /has 1 GPUs/);
  nodes.set('gpu-1', { ...node, gpus: 0 });
  await guard.look();
  assert.match(rows[0]?.cordoned ?? '', /has 1 GPUs/);
  nodes.set('gpu-1', node);
  await guard.look();
  assert.match(rows[0]?.cordoned ?? '', /has 1 GPUs/, 'only a verification lifts it');
});

test('the store is read only when a node changed', async () => {
  const { guard, nodes, reads } = scene();
  for (let i = 0; i < 3; i++) await guard.look();
  assert.is(reads(), 1);
  nodes.set('gpu-1', { ...node, cpus: 64 });
  await guard.look();
  assert.is(reads(), 2);
});

test('a server that is being verified is left to that, and judged afterwards', async () => {
  const { guard, nodes, busy, rows } = scene();
  nodes.set('gpu-1', { ...node, gpus: 1 });
  busy.add('gpu-1');
  await guard.look();
  assert.is(rows[0]?.cordoned, undefined);
  busy.clear();
  await guard.look();
  assert.match(rows[0]?.cordoned ?? '', /has 1 GPUs/);
});

test.run();

// What counts as a difference between miner and validator, and what passes by itself.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { prepare, type TestContext } from './testing/context.ts';
import { chuteId, deployment, gpuIds, remoteInventory, remoteNodes, remoteServer, server } from './testing/shapes.ts';
import type { Upstream } from './testing/upstream.ts';

const test = suite<TestContext>('differences');
prepare(test);

interface Sides {
  local?: object[];
  servers?: object[] | undefined;
  inventory?: object[];
  nodes?: object[];
}

const idle = remoteInventory.map((gpu) => ({ ...gpu, active: false, chute_id: null, chute_name: null }));
const [first = '', second = ''] = gpuIds;

function answer({ on }: Upstream, sides: Sides): void {
  const { local = [server()], inventory = remoteInventory, nodes = remoteNodes() } = sides;
  on('GET /servers/', local);
  if (!('servers' in sides) || sides.servers) on('GET /miner/servers/', { servers: sides.servers ?? [remoteServer()] });
  on('GET /miner/inventory', inventory);
  on('GET /miner/nodes/', (_request, response) => {
    response.end(nodes.map((node) => `data: ${JSON.stringify(node)}\n\n`).join(''));
  });
}

const same: [what: string, sides: Sides][] = [
  ['both know the same', {}],
  ['both know nothing', { local: [], servers: [], inventory: [], nodes: [] }],
  ['a validator of the older generation knows the same', { servers: undefined }],
  ['the feed of GPUs is empty, which is no answer', { nodes: [] }],
  [
    'a deployment is not claimed yet',
    { local: [server('gpu-0', { deployments: [deployment({ instance_id: null, active: false })] })], inventory: idle },
  ],
  [
    'a deployment drains: its GPU is held, the validator still knows the instance',
    { local: [server('gpu-0', { deployments: [] })] },
  ],
];

for (const [what, sides] of same) {
  test(`no difference, exit 0, when ${what}`, async ({ upstream, cli }) => {
    answer(upstream, sides);
    const { code, stdout, stderr } = await cli('inventory diff');
    assert.is(code, 0, stdout);
    assert.is(stdout, '');
    assert.match(stderr, /no difference/);
  });
}

const unheld = server('gpu-0', {
  deployments: [],
  gpus: (server().gpus as object[]).map((gpu) => ({ ...gpu, deployment_id: null })),
});

const different: [what: string, sides: Sides, expected: string[]][] = [
  [
    'the validator has forgotten the server',
    { servers: [], inventory: idle.slice(0, 0), nodes: [] },
    ['server uid-gpu-0 known -', `gpu ${first} verified -`, `gpu ${second} verified -`, 'deployment'],
  ],
  [
    'the validator keeps a server that the miner does not have',
    { servers: [remoteServer(), remoteServer('old', { gpus: [] })] },
    ['server uid-old - known'],
  ],
  [
    'the validator keeps a GPU of an old server',
    { nodes: [...remoteNodes(), { uuid: 'f'.repeat(32), server_id: 'uid-old', verified_at: null }] },
    [`gpu ${'f'.repeat(32)} - not verified`],
  ],
  [
    'the validator could not verify a GPU again',
    { nodes: remoteNodes({ verification_error: 'timeout' }) },
    [`gpu ${first} verified error: timeout`, `gpu ${second} verified error: timeout`],
  ],
  [
    'the miner has an unverified GPU',
    { local: [server('gpu-0', { gpus: (server().gpus as object[]).map((gpu) => ({ ...gpu, verified: false })) })] },
    [`gpu ${first} not verified verified`, `gpu ${second} not verified verified`],
  ],
  ['the validator lost the instance', { inventory: idle }, ['deployment 3f1c2f9e-2f2a-4f43-9d7c-0a8f6b1c2d3e llama -']],
  [
    'the validator has another chute there',
    {
      inventory: remoteInventory
        .map((gpu) => gpu.chute_id && { ...gpu, chute_id: `${chuteId}x`, chute_name: 'other' })
        .map((gpu, i) => gpu || (idle[i] as object)),
    },
    ['deployment 3f1c2f9e-2f2a-4f43-9d7c-0a8f6b1c2d3e llama other'],
  ],
  ['the validator has an instance that the miner does not have', { local: [unheld] }, [`deployment ${first} - llama`]],
];

for (const [what, sides, expected] of different) {
  test(`exit 3 when ${what}`, async ({ upstream, cli }) => {
    answer(upstream, sides);
    const { code, stdout } = await cli('inventory diff -o json');
    assert.is(code, 3, stdout);
    const found = JSON.parse(stdout);
    assert.is(found.different, true);
    const lines: string[] = found.differences.map(
      ({ kind, id, miner, validator }: Record<string, string>) => `${kind} ${id} ${miner} ${validator}`,
    );
    assert.is(lines.length, expected.length, lines.join('\n'));
    for (const [i, start] of expected.entries()) assert.ok(lines[i]?.startsWith(start), `${lines[i]} is not ${start}`);
    const table = await cli('inventory diff');
    assert.is(table.code, 3);
    assert.match(table.stdout, /^KIND +SERVER +ID +MINER +VALIDATOR +WHAT TO DO\n/);
  });
}

test.run();

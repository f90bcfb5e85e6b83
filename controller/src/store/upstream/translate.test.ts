import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gpuId, hotkey, uuid } from '../contract/fixtures.ts';
import { type Import, translate } from './import.ts';
import type { UpstreamRows } from './source.ts';

const options = { diskGb: 500, now: Date.UTC(2026, 5, 1) };
const device = { name: 'NVIDIA H100 80GB HBM3', memory: 85_024_636_928, clock_rate: 1_980_000 };

/** A row with only the columns that every database of this kind ever had. */
const server = {
  server_id: uuid(1),
  name: 'gpu-1',
  validator: hotkey,
  ip_address: '192.0.2.1',
  gpu_count: 1,
  cpu_per_gpu: 4,
  memory_per_gpu: 80,
  hourly_cost: 2,
};
const gpu = {
  gpu_id: gpuId(1),
  server_id: uuid(1),
  deployment_id: uuid(9),
  model_short_ref: 'h100_sxm',
  device_info: device,
};
const deployment = {
  deployment_id: uuid(9),
  chute_id: uuid(5),
  server_id: uuid(1),
  validator: hotkey,
  version: 'v1',
  created_at: '2026-01-02T03:00:00',
};

function rows(change: Partial<UpstreamRows> = {}): UpstreamRows {
  return { servers: [server], gpus: [gpu], chutes: [], deployments: [deployment], audit: [], ...change };
}

function reasons({ findings }: Import): string[] {
  return findings.map(({ kind, outcome, why }) => `${kind} ${outcome}: ${why}`);
}

test('columns that an old database lacks get their defaults', () => {
  const { servers, lifecycles, findings } = translate(rows(), options);
  const [taken] = servers;
  assert.equal([taken?.tee, taken?.locked, taken?.seed, taken?.createdAt], [false, false, undefined, options.now]);
  assert.equal([taken?.gpuShortRef, taken?.diskGb, taken?.gpus[0]?.verified], ['h100_sxm', 500, false]);
  assert.equal(taken?.gpus[0]?.deviceInfo, { uuid: gpuId(1), ...device });
  assert.is(lifecycles.length, 1);
  assert.is(findings.length, 2);
});

const time = Date.UTC(2026, 0, 2, 3);
const lives: [string, object, object][] = [
  ['a time without zone is UTC', {}, { plannedAt: time, committedAt: time, activatedAt: undefined }],
  ['a time with zone is read with it', { created_at: '2026-01-02T05:00:00-01:00' }, { plannedAt: time + 10_800_000 }],
  ['a row without time begins with the import', { created_at: null }, { plannedAt: options.now }],
  [
    'an instance is linked by the time it was verified',
    { instance_id: uuid(3), verified_at: '2026-01-02T03:00:07.5' },
    { instanceId: uuid(3), claimedAt: time + 7500, verifiedAt: time + 7500 },
  ],
  ['an instance without other times is linked since the start', { instance_id: uuid(3) }, { claimedAt: time }],
  [
    'active without a time is active since it was verified',
    { active: true, verified_at: '2026-01-02T03:00:07' },
    { activatedAt: time + 7000 },
  ],
  ['active without any time is active since the start', { active: true }, { activatedAt: time }],
  ['the node port is kept', { port: 31_000 }, { nodePorts: [31_000] }],
];
for (const [what, change, wanted] of lives) {
  test(`in a deployment ${what}`, () => {
    const [taken] = translate(rows({ deployments: [{ ...deployment, ...change }] }), options).lifecycles;
    const fields = Object.fromEntries(Object.keys(wanted).map((key) => [key, taken?.[key as keyof typeof taken]]));
    assert.equal(fields, wanted);
  });
}

const otherServer = { ...server, server_id: uuid(2), name: 'gpu-2', ip_address: '192.0.2.2' };
const left: [string, Partial<UpstreamRows>, string][] = [
  [
    'a GPU of another server',
    {
      servers: [{ ...server, labels: { 'gpu-short-ref': 'h100_sxm' } }, otherServer],
      gpus: [{ ...gpu, server_id: uuid(2) }],
    },
    'deployment left: it holds a GPU of another server',
  ],
  [
    'a GPU that was left',
    { gpus: [gpu, { ...gpu, gpu_id: gpuId(2), device_info: {} }] },
    'deployment left: a GPU that it holds was left',
  ],
  [
    'an id that is none',
    { deployments: [{ ...deployment, deployment_id: 'x' }] },
    'deployment left: deployment_id: must be a UUID',
  ],
  [
    'a time that is none',
    { deployments: [{ ...deployment, created_at: 'infinity' }] },
    'deployment left: created_at: must be a time',
  ],
  ['a negative seed', { servers: [{ ...server, seed: -1 }] }, 'server left: seed: must not be negative'],
  ['a seed beyond 63 bits', { servers: [{ ...server, seed: 2n ** 63n }] }, 'server left: seed: must be below 2^63'],
  ['no address', { servers: [{ ...server, ip_address: null }] }, 'no ip_address and no label chutes/external-ip'],
  ['nothing at all', { servers: [null] }, 'server left: '],
];
for (const [what, change, why] of left) {
  test(`a row with ${what} is left, and the reason is given`, () => {
    assert.ok(reasons(translate(rows(change), options)).some((reason) => reason.includes(why)));
  });
}

test('a deployment with fewer GPUs than its chute asks for is taken and noted', () => {
  const chute = { chute_id: uuid(5), validator: hotkey, image: 'a/b:c', ref_str: 'a:b', version: 'v1', gpu_count: 2 };
  const { lifecycles, ...rest } = translate(rows({ chutes: [chute] }), options);
  assert.is(lifecycles.length, 1);
  assert.ok(reasons({ lifecycles, ...rest }).includes('deployment taken: it holds 1 GPUs, its chute asks for 2'));
});

test('an audit entry of a deployment that runs on stays open, any other ends', () => {
  const entry = {
    deployment_id: uuid(9),
    validator: hotkey,
    chute_id: uuid(5),
    version: 'v1',
    created_at: '2026-01-02T03:00:00',
  };
  const given = [
    entry,
    { ...entry, deployment_id: uuid(8) },
    { ...entry, deployment_id: uuid(7), deleted_at: '2026-01-02T04:00:00' },
  ];
  const { audit } = translate(rows({ audit: given }), options);
  assert.equal(
    audit.map((row) => row.deletedAt),
    [undefined, options.now, time + 3_600_000],
  );
});

test('whatever the rows are, each is taken or left once, and nothing throws', () => {
  const value = fc.oneof(
    fc.constant(null),
    fc.string({ maxLength: 4 }),
    fc.integer(),
    fc.boolean(),
    fc.object({ maxDepth: 1 }),
  );
  const damaged = <T extends object>(row: T) =>
    fc
      .tuple(fc.constantFrom(...Object.keys(row)), value, fc.boolean())
      .map(([key, bad, spoil]) => (spoil ? { ...row, [key]: bad } : row));
  const source = fc.record({
    servers: fc.array(fc.oneof(damaged(server), value), { maxLength: 1 }),
    gpus: fc.array(damaged(gpu), { maxLength: 1 }),
    chutes: fc.array(value, { maxLength: 2 }),
    deployments: fc.array(fc.oneof(damaged(deployment), value), { maxLength: 1 }),
    audit: fc.array(fc.oneof(damaged(deployment), value), { maxLength: 2 }),
  });
  fc.assert(
    fc.property(source, (given) => {
      const { counts, findings } = translate(given, options);
      for (const { kind, found, taken } of counts) {
        const leftOf = findings.filter((one) => one.kind === kind && one.outcome === 'left');
        assert.is(leftOf.length, found - taken, kind);
      }
    }),
    { numRuns: 500 },
  );
});

test.run();

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseChute } from './chute.ts';
import { scaledClock } from './clock.ts';
import { minerConfig, serverConfig } from './config.ts';
import { eventReasons, parseValidatorEvent } from './event.ts';
import { gpuTable, modelOfDevice } from './gputable.ts';
import { gpuEnvId, isGpuId, isServerName, isUuid, uuid5 } from './ids.ts';
import { allocateNodePorts, isAllocatableNodePort } from './nodeport.ts';
import { seededRandom, uuidFrom } from './random.ts';
import { quantityToGiB, sizeServer } from './sizing.ts';
import { atLeast, hasAttestationPort, mountsCode, needsLaunchToken, probePort } from './version.ts';

const validator = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
const catalogue: Record<string, unknown>[] = JSON.parse(
  readFileSync(new URL('../../../simulator/data/chutes.json', import.meta.url), 'utf8'),
);

test('K8 only X.Y.Z is compared', () => {
  for (const [version, minimum, expected] of [
    ['0.6.0.rc0', '0.6.0', true],
    ['v0.6.0', '0.0.1', false],
    ['', '0.0.0', true],
    [undefined, '0.3.0', false],
    ['0.3.60.rc1', '0.3.61', false],
    ['0.10.0', '0.9.9', true],
    ['1.0.0', '0.9.9', true],
  ] as const) {
    assert.is(atLeast(version, minimum), expected, `${version} >= ${minimum}`);
  }
});

test('K9 the version decides token, probe, code mount and attestation', () => {
  assert.equal(
    [needsLaunchToken({ chutesVersion: '0.2.99' }), needsLaunchToken({ chutesVersion: '0.3.0.rc1' })],
    [false, true],
  );
  assert.equal([probePort({ chutesVersion: '0.3.2' }), probePort({ chutesVersion: '0.3.3' })], [8000, 8001]);
  assert.equal(
    ['0.3.59', '0.3.61', '0.4.0.rc2'].map((chutesVersion) => mountsCode({ chutesVersion })),
    [true, false, false],
  );
  assert.is(mountsCode({ chutesVersion: '0.3.59', tee: true }), false);
  assert.equal(
    [hasAttestationPort({ chutesVersion: '0.6.0', tee: true }), hasAttestationPort({ chutesVersion: '0.6.0' })],
    [true, false],
  );
});

test('D18 sizing follows the worked example and refuses a node without GPU memory', () => {
  assert.equal(sizeServer({ cpus: 8, memoryGiB: 32, gpus: 2, gpuMemoryMiB: 16384 }), {
    cpuPerGpu: 3,
    memoryPerGpu: 10,
  });
  assert.equal(sizeServer({ cpus: 4, memoryGiB: 8, gpus: 8, gpuMemoryMiB: 81920 }), { cpuPerGpu: 1, memoryPerGpu: 1 });
  assert.throws(() => sizeServer({ cpus: 8, memoryGiB: 32, gpus: 2, gpuMemoryMiB: 32 }), /nvidia.com\/gpu.memory/);
});

test('D18 memory quantities are read in GiB, rounded down, and nothing else is accepted', () => {
  assert.equal(['33554432Ki', '65536Mi', '64Gi', '1Ti', '68719476736'].map(quantityToGiB), [32, 64, 64, 1024, 64]);
  assert.throws(() => quantityToGiB('64G'), /not a number/);
});

test('the uuid5 of a chute version names its code', () => {
  assert.is(uuid5('c1::v1'), 'e764e23e-744d-57a1-9b9f-c3f2c11b87d3');
});

test('ids are checked strictly', () => {
  assert.ok(isUuid('e764e23e-744d-57a1-9b9f-c3f2c11b87d3'));
  for (const bad of [
    '',
    'E764E23E-744D-57A1-9B9F-C3F2C11B87D3',
    '../etc/passwd',
    'e764e23e-744d-57a1-9b9f-c3f2c11b87d3 ',
  ]) {
    assert.not(isUuid(bad));
  }
  assert.ok(isServerName('gpu-07'));
  for (const bad of ['', '-a', 'a-', 'A', 'a.b', 'a/b', 'a'.repeat(64)]) assert.not(isServerName(bad), bad);
  assert.ok(isGpuId('0'.repeat(32)));
  assert.is(gpuEnvId('00112233445566778899aabbccddeeff'), 'GPU-00112233-4455-6677-8899-aabbccddeeff');
});

test('node ports are the lowest free ones, never a reserved or taken one', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 29990, max: 32800 })),
      fc.integer({ min: 1, max: 20 }),
      (taken, count) => {
        const ports = allocateNodePorts(new Set(taken), count);
        assert.is(ports?.length, count);
        for (const port of ports ?? []) assert.ok(isAllocatableNodePort(port) && !taken.includes(port));
      },
    ),
  );
  const all = Array.from({ length: 2768 }, (_, i) => 30000 + i);
  assert.is(allocateNodePorts(new Set(all), 1), undefined);
});

test('every device name finds its model, in table order', () => {
  for (const [name, ref] of [
    ['NVIDIA GeForce RTX 4090', '4090'],
    ['NVIDIA RTX A4000', 'a4000'],
    ['NVIDIA A40', 'a40'],
    ['NVIDIA L40S', 'l40s'],
    ['NVIDIA H100 80GB HBM3', 'h100_sxm'],
    ['NVIDIA H100 PCIe', 'h100'],
    ['NVIDIA A100-SXM4-80GB', 'a100_sxm'],
    ['NVIDIA H200', 'h200'],
  ] as const) {
    assert.is(modelOfDevice(name)?.ref, ref, name);
  }
  assert.is(modelOfDevice('Voodoo 2'), undefined);
  assert.is(gpuTable.length, 26);
});

test('every chute of the catalogue can be read', () => {
  for (const item of catalogue) {
    const chute = parseChute(item, validator);
    assert.is(chute.chuteId, item.chute_id);
    assert.equal(chute.supportedGpus, [...chute.supportedGpus].sort());
  }
  assert.ok(catalogue.length > 200);
});

test('fields that one of the validator generations lacks get their defaults', () => {
  const bare = {
    chute_id: 'e764e23e-744d-57a1-9b9f-c3f2c11b87d3',
    version: 'v',
    image: 'u/i:1',
    ref_str: 'my_app:chute',
    node_selector: { gpu_count: 1 },
  };
  const chute = parseChute(bare, validator);
  assert.equal(
    [chute.tee, chute.preemptible, chute.effectiveComputeMultiplier, chute.filename, chute.jobOnly],
    [false, true, 1, 'my_app.py', true],
  );
});

test('a chute that could break out of a path, an image name or a command is refused', () => {
  const good = { ...catalogue[0] };
  for (const bad of [
    { chute_id: '../../etc' },
    { image: 'evil.example/x;rm' },
    { image: 'user/app:1\n--privileged' },
    { ref_str: 'app:chute; rm -rf /' },
    { filename: '../x.py' },
    { node_selector: { gpu_count: 0 } },
    { node_selector: { gpu_count: 9 } },
  ]) {
    assert.throws(() => parseChute({ ...good, ...bad }, validator), undefined, JSON.stringify(bad));
  }
});

test('job ports are merged, http counts as TCP, all that is not tcp or http as UDP', () => {
  const jobs = [
    {
      ports: [
        { port: 2202, proto: 'tcp' },
        { port: 9000, proto: 'http' },
      ],
    },
    {
      ports: [
        { port: 9000, proto: 'tcp' },
        { port: 9000, proto: 'udp' },
      ],
    },
  ];
  assert.equal(parseChute({ ...catalogue[0], jobs }, validator).jobPorts, [
    { port: 2202, proto: 'TCP' },
    { port: 9000, proto: 'TCP' },
    { port: 9000, proto: 'UDP' },
  ]);
});

test('the factors of the multiplier that come and go are read under both of their names, and may be absent or odd', () => {
  const boosts = (factors: unknown) =>
    parseChute({ ...catalogue[0], compute_multiplier_factors: factors }, validator).boosts;
  assert.equal(boosts({ base: 4, urgency: 2, bounty: 1.5 }), { urgency: 2, bounty: 1.5 });
  assert.equal(boosts({ urgency_boost: 2, bounty_boost: 1.5 }), { urgency: 2, bounty: 1.5 });
  assert.equal(boosts({ urgency: 'high', bounty: 0 }), {});
  assert.is(boosts(null), undefined);
});

test('the fifteen reasons are known, others are dropped, a bad payload of a known one is an error', () => {
  assert.is(eventReasons.length, 15);
  assert.is(parseValidatorEvent({ reason: 'instance_disabled', data: {} }, validator), undefined);
  assert.is(parseValidatorEvent({ reason: 'constructor', data: {} }, validator), undefined);
  assert.throws(() => parseValidatorEvent({ reason: 'gpu_verified', data: {} }, validator));
  assert.equal(parseValidatorEvent({ reason: 'gpu_verified', data: { gpu_id: 'g', extra: 1 } }, validator), {
    type: 'gpu_verified',
    validator,
    data: { gpu_id: 'g' },
  });
});

test('E12 a job without disk_gb gets 10', () => {
  const event = parseValidatorEvent({ reason: 'job_created', data: { chute_id: 'c', job_id: 'j' } }, validator);
  assert.is(event?.type === 'job_created' && event.data.disk_gb, 10);
});

test('configuration has defaults, refuses unknown fields and wrong values', () => {
  const base = {
    hotkey: validator,
    validators: [{ hotkey: validator, registry: 'r', api: 'https://api.example', socket: 'wss://ws.example' }],
  };
  assert.is(minerConfig.parse(base).policy.stuckLaunchMinutes, 30);
  assert.not(minerConfig.safeParse({ ...base, polcy: {} }).success);
  assert.not(minerConfig.safeParse({ ...base, policy: { mode: 'activ' } }).success);
  const server = { name: 'gpu-0', validator, hourlyCost: 1, gpuShortRef: 'h100', agentApi: 'http://10.0.0.1:32000' };
  assert.is(serverConfig.parse(server).locked, false);
  for (const bad of [{ name: 'GPU_0' }, { hourlyCost: -1 }, { agentApi: 'ftp://x' }, { validator: '0x' }]) {
    assert.not(serverConfig.safeParse({ ...server, ...bad }).success, JSON.stringify(bad));
  }
});

test('a scaled clock runs faster from a common epoch, and its sleep is shorter', async () => {
  const epoch = Date.now() - 1000;
  const clock = scaledClock(100, epoch);
  assert.ok(Math.abs(clock.now() - (epoch + 100_000)) < 5_000);
  const started = Date.now();
  await clock.sleep(2_000);
  assert.ok(Date.now() - started < 500);
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 5);
  await clock.sleep(1e9, abort.signal);
});

test('a seeded generator repeats itself and makes valid UUIDs', () => {
  assert.is(uuidFrom(seededRandom(1)), uuidFrom(seededRandom(1)));
  assert.is.not(uuidFrom(seededRandom(1)), uuidFrom(seededRandom(2)));
  assert.ok(isUuid(uuidFrom(seededRandom(3))));
});

test.run();

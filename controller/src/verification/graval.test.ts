import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { answerWith, type Context, label, useScene } from './testing/context.ts';
import { device, gpuId, startMs } from './testing/ports.ts';

const test = suite<Context>('verification by GraVal');
useScene(test);

test('a server is added: verified GPUs and seed in the store, a member, a file in the repository', async (context) => {
  const { scene, messages } = context;
  assert.is(await context.add(), 'added');
  assert.equal(scene.done, [
    'members.add gpu-0',
    'labelNode gpu-short-ref,chutes/validator,chutes/worker',
    'startBootstrap 30000 2 bootstrap:1',
    'addServer 2 false',
    'advertiseNodes 2',
    'updateServer seed',
    'stopBootstrap',
    'markGpusVerified 2',
    'writeServer gpu-0',
  ]);
  const server = scene.servers.get('gpu-0');
  assert.equal(
    server?.gpus.map(({ gpuId, model, verified }) => [gpuId, model, verified]),
    [
      [gpuId(1), 'h100_sxm', true],
      [gpuId(2), 'h100_sxm', true],
    ],
  );
  assert.equal(server?.gpus[1]?.deviceInfo, device(2), 'work product and nulls are left out');
  const { serverId, ip, cpuPerGpu, memoryPerGpu, seed, verificationPort, hourlyCost, diskGb } = server ?? {};
  assert.equal([serverId, ip, cpuPerGpu, memoryPerGpu], ['node-uid', '127.0.0.1', 4, 79]);
  assert.equal([seed, verificationPort, hourlyCost, diskGb], [9223372036854775807n, scene.nodePort, 1.5, 1000]);
  assert.equal(scene.repo.get('gpu-0'), context.request);
  assert.match(messages.at(-1) ?? '', /completed server bootstrapping in 1 seconds/);
  assert.not(messages.some((message) => message.includes('FAILED')));
});

test('the validator gets the GPUs in order with the public address of the node', async ({ scene, add }) => {
  let given: unknown;
  scene.advertise = async (nodes) => {
    given = nodes;
    return { taskId: 'hk::1', seed: undefined };
  };
  await add();
  const common = { gpu_identifier: 'h100_sxm', verification_host: '127.0.0.1', verification_port: scene.nodePort };
  assert.equal(given, [
    { ...device(1), device_index: 0, ...common },
    { ...device(2), device_index: 1, ...common },
  ]);
});

test('a validator that skips the verification is not asked for its verdict', async ({ scene, add }) => {
  scene.advertise = async () => ({ taskId: 'skip', seed: 5n });
  scene.verdicts = [new Error('401')];
  assert.is(await add(), 'added');
  assert.ok(scene.servers.get('gpu-0')?.gpus.every(({ verified }) => verified));
});

test('the verdict is asked for every second, and a validator that is away for a while does not end it', async (context) => {
  const away = new MinerError('E-VALIDATOR-UNREACHABLE', 'away');
  const down = new MinerError('E-VALIDATOR', 'down', { detail: { status: 502 } });
  context.scene.verdicts = [{ status: 'pending' }, away, down, { status: 'pending' }, { status: 'verified' }];
  assert.is(await context.add(), 'added');
  assert.match(context.messages.at(-1) ?? '', 'in 4 seconds');
  assert.is(context.messages.filter((message) => message.startsWith('waiting')).length, 2);
});

test('the device list is asked for five times, 3 s apart', async ({ scene, services, add }) => {
  const [good] = services.devices;
  services.devices = [undefined, [503, ''], [200, '{}'], [200, 'no json'], good];
  assert.is(await add(), 'added');
  assert.is(scene.clock.now() - startMs, 4 * 3000 + 1000);
});

interface Failure {
  what: string;
  set(context: Context): void;
  expected: RegExp;
}

function portFails(
  name: string,
  code: 'E-CLUSTER' | 'E-VERIFICATION' | 'E-STORE' | 'E-VALIDATOR' | 'E-GIT-REPOSITORY',
  status = 409,
) {
  return ({ scene }: Context) => {
    scene.failing.set(name, new MinerError(code, 'no', { detail: { status } }));
  };
}

function found(...devices: unknown[]) {
  return (context: Context) => answerWith(context, 'gpu-0', devices);
}

function verdict(given: Context['scene']['verdicts'][number]) {
  return ({ scene }: Context) => {
    scene.verdicts = [given];
  };
}

function nodeHas(change: Partial<Context['scene']['node']>, labels: Record<string, string | undefined> = {}) {
  return (context: Context) => {
    context.scene.node = { ...context.scene.node, ...change };
    label(context, labels);
  };
}

const failures: Failure[] = [
  { what: 'a node that is not Ready', set: nodeHas({ ready: false }), expected: /^E-NODE .*not Ready/ },
  {
    what: 'no external address',
    set: nodeHas({}, { 'chutes/external-ip': undefined }),
    expected: /^E-NODE .*external-ip/,
  },
  {
    what: 'no GPU count',
    set: nodeHas({}, { 'nvidia.com/gpu.count': undefined }),
    expected: /^E-NODE .*count is missing/,
  },
  { what: 'eleven GPUs', set: nodeHas({ gpus: 11 }, { 'nvidia.com/gpu.count': '11' }), expected: /^E-NODE .*1 to 10/ },
  {
    what: 'another number of GPUs in the label than on the node',
    set: nodeHas({}, { 'nvidia.com/gpu.count': '4' }),
    expected: /^E-(NODE|VERIFICATION) .*gpu.count is 4/,
  },
  {
    what: 'another model in the label than said',
    set: nodeHas({}, { 'nvidia.com/gpu.product': 'NVIDIA-H200' }),
    expected: /^E-GPU-REF label nvidia.com\/gpu.product is NVIDIA-H200, not h100_sxm/,
  },
  { what: 'no GPU memory', set: nodeHas({}, { 'nvidia.com/gpu.memory': undefined }), expected: /^E-NODE .*gpu.memory/ },
  { what: 'labels that cannot be set', set: portFails('labelNode', 'E-CLUSTER'), expected: /^E-CLUSTER no/ },
  { what: 'a pod that fails', set: portFails('startBootstrap', 'E-VERIFICATION'), expected: /^E-VERIFICATION no/ },
  {
    what: 'no device list',
    set: ({ services }) => {
      services.devices = [[500, '']];
    },
    expected: /^E-VERIFICATION .*status 500/,
  },
  { what: 'an unreadable device', set: found(device(1, { uuid: 'x' })), expected: /^E-VERIFICATION .*32 hex digits/ },
  { what: 'too few GPUs', set: found(device(1)), expected: /^E-VERIFICATION .*has 2 GPUs, but 1/ },
  { what: 'the same GPU twice', set: found(device(1), device(1)), expected: /^E-VERIFICATION .*same id/ },
  {
    what: 'a device with more VRAM than its node',
    set: found(device(1), device(2, { memory: 96_000_000_000 })),
    expected: /^E-VERIFICATION .*reports 91553 MiB, label nvidia.com\/gpu.memory says 81559/,
  },
  {
    what: 'a device whose name does not go with its processors',
    set: found(device(1), device(2, { processors: 114 })),
    expected: /^E-VERIFICATION .*reports 114 processors; h100_sxm has 132/,
  },
  {
    what: 'a device with an impossible clock',
    set: found(device(1), device(2, { clock_rate: 3_000_000 })),
    expected: /^E-VERIFICATION .*clock of 3000 MHz; h100_sxm has 1590 to 1980/,
  },
  {
    what: 'less RAM than VRAM',
    set: nodeHas({ memoryGiB: 128 }),
    expected: /^E-NODE .*128 GiB of RAM for 159 GiB of VRAM/,
  },
  {
    what: 'a verification that cannot be written down',
    set: portFails('saveVerification', 'E-STORE'),
    expected: /^E-STORE no/,
  },
  {
    what: 'another model than said',
    set: found(device(1), device(2, { name: 'NVIDIA L4' })),
    expected: /^E-GPU-REF .*"NVIDIA L4" \(l4\), not h100_sxm/,
  },
  { what: 'a store that is down', set: portFails('addServer', 'E-STORE'), expected: /^E-STORE no/ },
  { what: 'a validator that fails', set: portFails('advertiseNodes', 'E-VALIDATOR', 502), expected: /^E-VALIDATOR no/ },
  {
    what: 'a verdict against the GPUs',
    set: verdict({ status: 'failed', detail: 'proof is wrong' }),
    expected: /^E-VERIFICATION .*proof is wrong/,
  },
  { what: 'a verdict that never comes', set: verdict({ status: 'pending' }), expected: /^E-VERIFICATION .*900 s/ },
  {
    what: 'a validator that stays away',
    set: verdict(new MinerError('E-VALIDATOR-UNREACHABLE', 'gone')),
    expected: /^E-VALIDATOR-UNREACHABLE gone/,
  },
  {
    what: 'a task that is not ours',
    set: verdict(new MinerError('E-VALIDATOR', 'no', { detail: { status: 401 } })),
    expected: /^E-VALIDATOR no/,
  },
  { what: 'a refusing repository', set: portFails('writeServer', 'E-GIT-REPOSITORY'), expected: /^E-GIT-REPOSITORY / },
  {
    what: 'an unexpected error',
    set: ({ scene }) => {
      scene.failing.set('markGpusVerified', new TypeError('bug'));
    },
    expected: /^E-VERIFICATION unexpected: bug/,
  },
];

for (const { what, set, expected } of failures) {
  test(`everything is undone and said after ${what}`, async (context) => {
    const { scene, messages } = context;
    set(context);
    const outcome = await context.add();
    assert.match(outcome, expected);
    assert.is(messages.at(-1), `FAILED: ${outcome}`);
    assert.is(messages.filter((message) => message.includes('FAILED')).length, 1);
    assert.equal([scene.servers.size, scene.members.size, scene.repo.size], [0, 0, 0]);
    const did = (name: string) => scene.done.some((call) => call.startsWith(name));
    assert.is(did('stopBootstrap'), did('startBootstrap'), 'what was started is stopped');
    assert.is(did('forgetServer node-uid 2'), did('advertiseNodes'), 'what was advertised is taken back');
  });
}

test('a GPU that belongs to another server is neither advertised nor taken from it', async (context) => {
  const { scene } = context;
  await context.add();
  scene.done.length = 0;
  scene.node = { ...scene.node, uid: 'other-uid', name: 'gpu-1' };
  answerWith(context, 'gpu-1');
  assert.match(await context.add({ name: 'gpu-1' }), /^E-ALREADY-ADDED .*belongs to server gpu-0/);
  assert.not(scene.done.some((call) => /^(advertiseNodes|forgetServer|deleteServer)/.test(call)));
});

test('what the validator refused to take is not taken from it: a known GPU may be at work under another server', async (context) => {
  const { scene } = context;
  scene.failing.set('advertiseNodes', new MinerError('E-VALIDATOR', 'known already', { detail: { status: 409 } }));
  assert.match(await context.add(), /^E-VALIDATOR known already/);
  assert.not(scene.done.some((call) => call.startsWith('forgetServer')));
  assert.is(scene.servers.size, 0);
});

test('a moved branch is no failure: the file is written again', async ({ scene, add }) => {
  scene.failing.set('writeServer', new MinerError('E-GIT-CONFLICT', 'moved'));
  const { writeServer } = scene.deps.repo;
  let tries = 0;
  scene.deps.repo.writeServer = (server) => {
    if (++tries === 2) scene.failing.clear();
    return writeServer(server);
  };
  assert.is(await add(), 'added');
  assert.is(tries, 2);
});

test.run();

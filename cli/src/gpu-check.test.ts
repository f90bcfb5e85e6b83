import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  type DeviceInfo,
  type GravalBackend,
  GravalError,
  type OgvProver,
  type Prover,
} from '@miner/graval/backend.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkGpus } from './commands/gpu-check.ts';
import { createContext } from './context.ts';
import type { MachineOptions } from './gpucheck/machine.ts';
import { paramsFor } from './gpucheck/proof.ts';

const h100: DeviceInfo = {
  uuid: '0'.repeat(32),
  name: 'NVIDIA H100 80GB HBM3',
  memory: 85_029_158_912,
  processors: 132,
  clock_rate: 1_980_000,
  max_threads_per_processor: 2048,
};

interface Gpus {
  kind?: GravalBackend['kind'];
  devices?: DeviceInfo[];
  failure?: Error;
  /** Of the fill. */
  commit?: OgvProver['commit'];
  prove?: Prover['prove'];
}

function fakeBackend({ kind = 'cuda', devices = [h100], failure, commit, prove }: Gpus): GravalBackend {
  const unused = () => Promise.reject(new Error('not part of a check'));
  return {
    kind,
    devices: () => (failure ? Promise.reject(failure) : Promise.resolve(devices)),
    ogv: {
      commit: async (challenge, options) => {
        if (commit) return commit(challenge, options);
        const hashes = { pkM: '', rootFill: '', rootWalk: '', commit: '' };
        return { sessionId: 's', ...hashes, phaseMs: { fill: 5000, walk: 500 } };
      },
      audit: unused,
      release: unused,
      discard: async () => undefined,
    },
    ...(prove && { prover: { prove, decrypt: unused, infoChallenge: unused, fsChallenge: unused } }),
    close: async () => undefined,
  };
}

const files: Record<string, string> = {
  'proc/driver/nvidia/version': 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  Wed Aug 27',
  'usr/bin/nvidia-container-runtime': '',
  'var/lib/rancher/k3s/agent/etc/containerd/config.toml': 'BinaryName = "/usr/bin/nvidia-container-runtime"',
  'etc/OpenCL/vendors/nvidia.icd': 'libnvidia-opencl.so.1',
};

const test = suite<{ root: string }>('gpu-check');
test.before.each((context) => {
  context.root = mkdtempSync(join(tmpdir(), 'gpu-'));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(context.root, path)), { recursive: true });
    writeFileSync(join(context.root, path), content);
  }
});
test.after.each(({ root }) => rmSync(root, { recursive: true }));

async function check(root: string, gpus: Gpus, values: object = {}, machine: MachineOptions = {}) {
  let stdout = '';
  const write = (text: string) => {
    stdout += text;
  };
  const context = createContext({
    io: {
      stdin: process.stdin,
      stdout: { write },
      stderr: { write: () => undefined },
      env: {},
      signal: new AbortController().signal,
      now: Date.now,
    },
    args: [],
    values: { ...values },
    onInterrupt: () => undefined,
  });
  const code = await checkGpus(context, {
    open: async () => fakeBackend(gpus),
    machine: { root, smi: async () => '580.82.07\n', ramBytes: 128 * 1024 ** 3, ...machine },
  });
  return { code: code ?? 0, stdout };
}

test('a good node passes, with model, memory and speed of each GPU', async ({ root }) => {
  const { code, stdout } = await check(root, {});
  assert.is(code, 0, stdout);
  assert.match(stdout, /ok {4}driver: NVIDIA 580.82.07, nvidia-smi lists 1 GPUs/);
  assert.match(stdout, /ok {4}container runtime: \/usr\/bin\/nvidia-container-runtime, known to .*k3s/);
  assert.match(stdout, /ok {4}model: gpu_short_ref h100_sxm/);
  assert.match(stdout, /ok {4}RAM: 128 GiB of RAM for 79 GiB of VRAM/);
  assert.match(stdout, /warn {2}time window: the validator expects 70 s and takes 38.5 to 119.0 s; not measured/);
  assert.match(stdout, /NVIDIA H100 80GB HBM3 +h100_sxm +79.2 +95 % +33068 +67/);
});

test('programs get one document with the same', async ({ root }) => {
  const { code, stdout } = await check(root, {}, { output: 'json' });
  const { ok, backend, gpus, checks, ram_bytes } = JSON.parse(stdout);
  assert.equal([code, ok, backend, ram_bytes], [0, true, 'cuda', 128 * 1024 ** 3]);
  assert.is(gpus[0].model, 'h100_sxm');
  assert.ok(gpus[0].reached_bytes > 0.94 * h100.memory && gpus[0].reached_bytes <= 0.95 * h100.memory);
  assert.ok(checks.every(({ result }: { result: string }) => result !== 'fail'));
});

const vendor = (ms: number): Gpus => ({
  kind: 'vendor',
  prove: async () => {
    now += ms;
    return {};
  },
});
let now = 0;
const clock = performance.now;

for (const [seconds, expected] of [
  [70, /ok {4}time window: the proof took 70.0 s/],
  [30, /fail {2}time window: the proof took 30.0 s/],
  [120, /fail {2}time window: the proof took 120.0 s/],
] as const) {
  test(`a vendor's proof of ${seconds} s is held against the window of the model`, async ({ root }) => {
    performance.now = () => now;
    try {
      assert.match((await check(root, vendor(seconds * 1000))).stdout, expected);
    } finally {
      performance.now = clock;
    }
  });
}

const fails: [what: string, gpus: Gpus, machine: MachineOptions, expected: RegExp][] = [
  [
    'no driver for the backend',
    { failure: new GravalError('NO_DRIVER', 'libcuda.so.1 cannot be opened') },
    {},
    /fail {2}GPUs: libcuda.so.1 .*\n.*fix: install the driver; `--backend cpu`/,
  ],
  [
    'an addon that is not built',
    { failure: new GravalError('NO_LIBRARY', 'the addon is not built') },
    {},
    /fix: build the addon/,
  ],
  ['too little RAM', {}, { ramBytes: 64 * 1024 ** 3 }, /fail {2}RAM: 64 GiB of RAM for 79 GiB of VRAM/],
  [
    'GPUs of two models',
    { devices: [h100, { ...h100, name: 'NVIDIA L4' }] },
    {},
    /fail {2}model: several: h100_sxm, l4/,
  ],
  [
    'eleven GPUs',
    { devices: Array.from({ length: 11 }, () => h100) },
    { ramBytes: 2 ** 41 },
    /fail {2}GPUs: 11 × .*\n.*1 to 10/,
  ],
  [
    'memory that is in use',
    { commit: () => Promise.reject(new GravalError('VRAM_BUSY', '20 of 80 GB are free')) },
    {},
    /fail {2}VRAM: 1 of 1 GPUs: 20 of 80 GB are free/,
  ],
];
for (const [what, gpus, machine, expected] of fails) {
  test(`${what} fails the check, and says how to mend it`, async ({ root }) => {
    const { code, stdout } = await check(root, gpus, {}, machine);
    assert.is(code, 3);
    assert.match(stdout, expected);
  });
}

test('a node without driver and runtime is told what is missing, and the rest is still looked at', async ({ root }) => {
  const bare = mkdtempSync(join(root, 'bare-'));
  const { code, stdout } = await check(bare, {});
  assert.is(code, 3);
  assert.match(stdout, /fail {2}driver: no NVIDIA driver is loaded/);
  assert.match(stdout, /fail {2}container runtime: nvidia-container-runtime is missing/);
  assert.match(stdout, /ok {4}RAM/);
});

test('a driver without nvidia-smi and a runtime that containerd does not know are warnings', async ({ root }) => {
  writeFileSync(join(root, 'var/lib/rancher/k3s/agent/etc/containerd/config.toml'), 'version = 3');
  const { stdout } = await check(root, {}, {}, { smi: () => Promise.reject(new Error('ENOENT')) });
  assert.match(stdout, /warn {2}driver: NVIDIA 580.82.07 is loaded, but nvidia-smi does not answer/);
  assert.match(stdout, /warn {2}container runtime: .*config.toml does not name it/);
});

test('a model that the table does not have is a warning', async ({ root }) => {
  const { code, stdout } = await check(root, { devices: [{ ...h100, name: 'NVIDIA X9000' }] });
  assert.is(code, 0);
  assert.match(stdout, /warn {2}model: NVIDIA X9000 is not in the GPU table/);
});

test('a quick look proves nothing', async ({ root }) => {
  const commit = () => Promise.reject(new Error('asked to prove'));
  const { code, stdout } = await check(root, { commit }, { quick: true });
  assert.is(code, 0, stdout);
  assert.not(stdout.includes('asked to prove'));
});

test('a CPU stands in for GPUs with a token amount of work, and is said to be none', async ({ root }) => {
  const { stdout } = await check(root, { kind: 'cpu', devices: [{ ...h100, name: 'CPU' }] });
  assert.match(stdout, /warn {2}GPUs: none asked: CPU stands in/);
  assert.match(stdout, /ok {4}proof: works on the CPU/);
  assert.not(/RAM:|VRAM:|time window/.test(stdout));
  assert.ok(paramsFor(h100, 'cpu').N * 256 * 1024 < 2 ** 27);
});

test('the parameters fill 95 % of a GPU and fit the protocol', () => {
  for (const gb of [16, 24, 40, 80, 141, 192]) {
    const { n, m, N } = paramsFor({ ...h100, memory: gb * 1e9 }, 'cuda');
    const part = (n * m * N) / (gb * 1e9);
    assert.ok(part > 0.945 && part <= 0.95, `${gb} GB: ${part}`);
  }
});

test.run();

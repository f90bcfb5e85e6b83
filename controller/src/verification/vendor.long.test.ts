// Adding a node with the vendor's own libraries on both sides, on a machine without a GPU: the validator challenges with
// libgraval-validator, the bootstrap server answers with libgraval-miner. Minutes of processor time.

import type { DeviceInfo, GravalBackend, Verifier } from '@miner/graval/backend.ts';
import { buildAddon } from '@miner/graval/build.ts';
import { type RunningBootstrap, startBootstrapServer } from '@miner/graval/server/start.ts';
import { vendorHost } from '@miner/graval/testing/vendorhost.ts';
import { openVendor, openVendorVerifier } from '@miner/graval/vendor/backend.ts';
import { hotkeyFromSeed } from '@miner/simulator/sr25519.ts';
import { askDevices, type Challenged, checkWork, prepareWork, sendWork } from '@miner/simulator/validator/challenge.ts';
import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { messageOf } from '../domain/errors.ts';
import type { NodeArgs, VerificationStatus } from '../domain/ports.ts';
import { answerWith, type Context, label, useScene } from './testing/context.ts';
import { miner } from './testing/ports.ts';

interface VendorContext extends Context {
  backend: GravalBackend;
  verifier: Verifier;
  bootstrap: RunningBootstrap;
}

const seed = 2n ** 63n - 1n;
const validator = hotkeyFromSeed('02'.repeat(32));
const test = suite<VendorContext>('a node with the vendor’s libraries on both sides');

test.before(async (context) => {
  buildAddon();
  const host = vendorHost();
  const { environment } = host;
  context.backend = openVendor({ library: host.miner, environment });
  context.verifier = openVendorVerifier({ library: host.validator, environment });
  context.bootstrap = await startBootstrapServer({
    backend: context.backend,
    miner: miner.address,
    validators: [validator.ss58],
    host: '127.0.0.1',
    port: 0,
    statusPort: undefined,
    proveLimitMs: 600_000,
    log: pino({ level: 'silent' }),
  });
});
useScene(test as never);
test.after(async ({ bootstrap, verifier }) => {
  await bootstrap.stop();
  await verifier.close();
});

/** Changes the second hash of the proof, the one that is looked at. */
function tampered(answer: string): string {
  const other = (digit: string) => (digit === '0' ? '1' : '0');
  return answer.replace(/("[0-9a-f]{64}",")([0-9a-f])/, (_, before: string, digit: string) => before + other(digit));
}

/** The validator's part, behind the port that the controller knows. */
function challengeWith(context: VendorContext): void {
  const { scene, verifier, bootstrap } = context;
  const { signal } = new AbortController();
  const work = { seed, iterations: 1, spot: () => ({ iteration: 0, index: 1 }) };

  async function challenge(nodes: readonly NodeArgs[]): Promise<void> {
    const devices = nodes.map(
      ({ uuid, name, memory, processors, clock_rate, max_threads_per_processor }): DeviceInfo => {
        const sizes = { processors: processors ?? 0, max_threads_per_processor: max_threads_per_processor ?? 0 };
        return { uuid, name, memory, clock_rate, ...sizes };
      },
    );
    const to: Challenged = { verifier, base: bootstrap.url, hotkey: validator, miner: miner.address, devices, signal };
    await askDevices(to, 3);
    const exercise = await prepareWork(to, work);
    const answer = await sendWork(to, exercise);
    const refused = await checkWork(to, work, exercise, tampered(answer)).then(() => 'taken', messageOf);
    if (!/the proof of GPU \S+ is wrong/.test(refused)) throw new Error(`an altered proof was ${refused}`);
    await checkWork(to, work, exercise, answer);
  }

  scene.advertise = async (nodes) => {
    const verdict = challenge(nodes).then(
      (): VerificationStatus => ({ status: 'verified' }),
      (error): VerificationStatus => ({ status: 'failed', detail: messageOf(error) }),
    );
    scene.verdicts = [await verdict];
    return { taskId: 'hk::1', seed };
  };
}

/** The node as GPU feature discovery would describe it, of a model newer than the table. */
async function prepare(context: VendorContext): Promise<void> {
  const { scene, services, bootstrap } = context;
  const devices = await context.backend.devices();
  const memory = String(Math.round((devices[0]?.memory ?? 0) / 1024 ** 2));
  scene.node = { ...scene.node, gpus: devices.length };
  label(context, { 'nvidia.com/gpu.count': String(devices.length), 'nvidia.com/gpu.memory': memory });
  scene.supported.add('posing');
  context.request = { ...context.request, gpuShortRef: 'posing' };
  scene.nodePort = Number(new URL(bootstrap.url).port);
  answerWith(context, 'gpu-0');
  assert.ok(services.kubeconfig);
}

test('it is verified, by device questions, texts and proofs of the vendor; an altered proof is not taken', async (context) => {
  await prepare(context);
  challengeWith(context);
  assert.is(await context.add(), 'added');
  assert.ok(context.scene.servers.get('gpu-0')?.gpus.every(({ verified }) => verified));
});

test.run();

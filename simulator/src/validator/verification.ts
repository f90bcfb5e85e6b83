// Verification of a server's GPUs (graval.md 3): the validator calls the miner's bootstrap, asks for device info, then for one proof of
// all GPUs at once, and checks texts, hashes and time. A failure gives the GPUs a new seed.

import { messageOf } from '@miner/controller/domain/errors.ts';
import { gpuTable } from '@miner/controller/domain/gputable.ts';
import { refc1Verifier } from '../refc1-verifier.ts';
import { newSeed } from '../refc1-wire.ts';
import { askDevices, type Challenged, checkWork, prepareWork, sendWork, type Work } from './challenge.ts';
import type { NodeState } from './records.ts';
import type { World } from './world.ts';

const window = { least: 0.55, most: 1.7, patience: 2.5 };

/** Ends after `ms` of simulated time, but leaves a slow machine at least 30 real seconds. */
function patience(world: World, ms: number, done: AbortSignal): AbortSignal {
  const late = new AbortController();
  const real = new Promise((resolve) => setTimeout(resolve, 30_000).unref());
  void Promise.all([world.clock.sleep(ms, done), real]).then(() => late.abort(new Error('the proof took too long')));
  return AbortSignal.any([late.signal, world.signal]);
}

async function prove(world: World, to: Challenged, [first]: readonly NodeState[]): Promise<void> {
  const model = first && gpuTable.find(({ ref }) => ref === first.gpu_identifier);
  if (!first || !model) throw new Error('no GPU to prove');
  const { iterations, estimateSeconds } = model.graval;
  const { sizes, timing } = world.graval;
  const spot = () => ({ iteration: 0, index: Math.floor(world.random() * sizes.num) });
  const work: Work = { seed: BigInt(first.seed), iterations, spot };
  const exercise = await prepareWork(to, work);
  const done = new AbortController();
  const started = world.clock.now();
  try {
    const signal = patience(world, window.patience * estimateSeconds * 1000, done.signal);
    const answer = await sendWork({ ...to, signal }, exercise);
    const share = (world.clock.now() - started) / 1000 / estimateSeconds;
    if (timing && (share <= window.least || share >= window.most)) {
      throw new Error(`the proof took ${Math.round(share * estimateSeconds)} s, expected ${estimateSeconds} s`);
    }
    await checkWork(to, work, exercise, answer);
  } finally {
    done.abort();
  }
}

async function verify(world: World, taskId: string): Promise<void> {
  const task = world.state.tasks[taskId];
  const nodes = (task?.nodeIds ?? [])
    .flatMap((id) => world.state.nodes[id] ?? [])
    .sort((a, b) => a.device_index - b.device_index);
  const [first] = nodes;
  if (!task || !first || task.status !== 'pending') return;
  const base = `http://${first.verification_host}:${first.verification_port}`;
  try {
    const { hotkey, signal, graval } = world;
    const verifier = refc1Verifier(graval.sizes);
    const to: Challenged = { verifier, base, hotkey, miner: task.minerHotkey, devices: nodes, signal };
    await askDevices(to, graval.infoRounds);
    await prove(world, to, nodes);
    task.status = 'verified';
    for (const node of nodes) Object.assign(node, { verifiedAt: world.clock.now(), verificationError: null });
    for (const { uuid } of nodes) {
      const data = { gpu_id: uuid, miner_hotkey: task.minerHotkey };
      world.emit('gpu_verified', data, [task.minerHotkey]);
    }
  } catch (cause) {
    // A validator that stops in the middle starts over when it comes back.
    if (world.signal.aborted) return;
    task.status = 'failed';
    task.detail = messageOf(cause);
    const seed = String(newSeed());
    for (const node of nodes) Object.assign(node, { seed, verificationError: task.detail });
  }
  world.log('verification ended', { taskId, status: task.status, detail: task.detail });
  world.changed();
}

/** Verify in the background; the outcome is in the task. Never rejects. */
export function startVerification(world: World, taskId: string): void {
  void verify(world, taskId);
}

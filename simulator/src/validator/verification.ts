// Verification of a server's GPUs (graval.md 3): the validator calls the miner's bootstrap, asks for device info, then for one proof of
// all GPUs at once, and checks texts, hashes and time. A failure gives the GPUs a new seed.

import { randomBytes, randomUUID } from 'node:crypto';
import { messageOf } from '@miner/controller/domain/errors.ts';
import { gpuTable } from '@miner/controller/domain/gputable.ts';
import { parseJson, toJson } from '../lossless.ts';
import { checkProof, encryptWith, infoAnswer, prove } from '../refc1.ts';
import { newSeed, proveReply } from '../refc1-wire.ts';
import { bodyHash, nodeHeaders } from './auth.ts';
import type { NodeState } from './records.ts';
import type { World } from './world.ts';

const infoTimeoutMs = 12_000;
const window = { least: 0.55, most: 1.7, patience: 2.5 };

function infoChallenge(round: number, gpus: number): string {
  return Buffer.concat([Uint8Array.of(round % gpus), randomBytes(31)]).toString('hex');
}

async function checkInfo(world: World, base: string, miner: string, nodes: readonly NodeState[]): Promise<void> {
  for (let round = 0; round < world.graval.infoRounds; round++) {
    const challenge = infoChallenge(round, nodes.length);
    const response = await fetch(`${base}/info?challenge=${challenge}`, {
      headers: nodeHeaders(world.hotkey, miner, 'graval'),
      signal: AbortSignal.any([world.signal, AbortSignal.timeout(infoTimeoutMs)]),
    });
    const answer = (await response.text()).trim();
    if (!response.ok) throw new Error(`device info was answered with ${response.status}`);
    if (answer !== infoAnswer(challenge, nodes)) throw new Error('device info does not match the advertised GPUs');
  }
}

/** Ends after `ms` of simulated time, but leaves a slow machine at least 30 real seconds. */
function patience(world: World, ms: number, done: AbortSignal): AbortSignal {
  const late = new AbortController();
  const real = new Promise((resolve) => setTimeout(resolve, 30_000).unref());
  void Promise.all([world.clock.sleep(ms, done), real]).then(() => late.abort(new Error('the proof took too long')));
  return AbortSignal.any([late.signal, world.signal]);
}

async function checkWork(world: World, base: string, miner: string, nodes: readonly NodeState[]): Promise<void> {
  const [first] = nodes;
  const model = first && gpuTable.find(({ ref }) => ref === first.gpu_identifier);
  if (!first || !model) throw new Error('no GPU to prove');
  const { iterations, estimateSeconds } = model.graval;
  const { sizes, timing } = world.graval;
  const seed = BigInt(first.seed);
  const text = `decrypt me please: ${randomUUID()}`;
  const ciphertext: Record<string, string> = {};
  for (const node of nodes) {
    ciphertext[node.uuid] = encryptWith(prove(seed, iterations, node, sizes), text);
    // Proofs are computed here as well; requests of others go on in between.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const body = toJson({ seed, iterations, ciphertext });
  const done = new AbortController();
  const started = world.clock.now();
  try {
    const response = await fetch(`${base}/prove`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        ...nodeHeaders(world.hotkey, miner, bodyHash(Buffer.from(body))),
      },
      body,
      signal: patience(world, window.patience * estimateSeconds * 1000, done.signal),
    });
    if (!response.ok) throw new Error(`the proof was answered with ${response.status}`);
    const reply = proveReply.parse(parseJson(await response.text()));
    const share = (world.clock.now() - started) / 1000 / estimateSeconds;
    if (timing && (share <= window.least || share >= window.most)) {
      throw new Error(`the proof took ${Math.round(share * estimateSeconds)} s, expected ${estimateSeconds} s`);
    }
    for (const node of nodes) {
      if (reply.plaintext[node.uuid] !== text) throw new Error(`GPU ${node.uuid} did not decrypt its text`);
      const proof = reply.proof[node.uuid]?.work_product;
      const spot = { iteration: 0, index: Math.floor(world.random() * sizes.num) };
      if (!proof || !checkProof(node, seed, { iterations, sizes }, proof, spot)) {
        throw new Error(`the proof of GPU ${node.uuid} is wrong`);
      }
    }
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
    await checkInfo(world, base, task.minerHotkey, nodes);
    await checkWork(world, base, task.minerHotkey, nodes);
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

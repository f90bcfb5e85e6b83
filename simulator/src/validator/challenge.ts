// What a validator asks of a node (graval.md 3.3): device questions, then one proof of all GPUs at once, whose texts and hashes are checked.
// Rejects with what is wrong; how long a proof may take is the caller's to say.

import { randomUUID } from 'node:crypto';
import type { DeviceInfo, Verifier } from '@miner/graval/backend.ts';
import { parseJson, toJson } from '../lossless.ts';
import { proveReply } from '../refc1-wire.ts';
import type { SimulatedHotkey } from '../sr25519.ts';
import { bodyHash, nodeHeaders } from './auth.ts';

const infoTimeoutMs = 12_000;

export interface Challenged {
  verifier: Verifier;
  /** URL of the node's bootstrap server. */
  base: string;
  /** Of the validator; the node takes no other. */
  hotkey: SimulatedHotkey;
  /** ss58 of the node's miner. */
  miner: string;
  /** As advertised, by device index. */
  devices: readonly DeviceInfo[];
  signal: AbortSignal;
}

export async function askDevices(to: Challenged, rounds: number): Promise<void> {
  const { verifier, base, devices } = to;
  for (let round = 0; round < rounds; round++) {
    const challenge = await verifier.makeInfoChallenge(devices.length);
    const response = await fetch(`${base}/info?challenge=${challenge}`, {
      headers: nodeHeaders(to.hotkey, to.miner, 'graval'),
      signal: AbortSignal.any([to.signal, AbortSignal.timeout(infoTimeoutMs)]),
    });
    const answer = (await response.text()).trim();
    if (!response.ok) throw new Error(`device info was answered with ${response.status}`);
    if (!(await verifier.checkInfo(challenge, answer, devices)))
      throw new Error('device info does not match the advertised GPUs');
  }
}

export interface Work {
  seed: bigint;
  iterations: number;
  /** Which hash of a proof with that many matrices is checked. */
  spot(matrices: number): { iteration: number; index: number };
}

/** The body of `/prove`, with a text for each GPU. */
export interface Exercise {
  body: string;
  text: string;
}

export async function prepareWork({ verifier, devices }: Challenged, work: Work): Promise<Exercise> {
  const { seed, iterations } = work;
  const text = `decrypt me please: ${randomUUID()}`;
  const ciphertext: Record<string, string> = {};
  for (const device of devices) {
    const { iv, ciphertext: bytes } = await verifier.encrypt(device, text, iterations, seed);
    ciphertext[device.uuid] = Buffer.concat([iv, bytes]).toString('base64');
  }
  return { text, body: toJson({ seed, iterations, ciphertext }) };
}

/** The answer to the exercise, as text. */
export async function sendWork({ base, hotkey, miner, signal }: Challenged, { body }: Exercise): Promise<string> {
  const headers = { 'Content-Type': 'application/json', ...nodeHeaders(hotkey, miner, bodyHash(Buffer.from(body))) };
  const response = await fetch(`${base}/prove`, { method: 'POST', headers, body, signal });
  if (!response.ok) throw new Error(`the proof was answered with ${response.status}`);
  return response.text();
}

export async function checkWork(
  { verifier, devices }: Challenged,
  work: Work,
  { text }: Exercise,
  answer: string,
): Promise<void> {
  const reply = proveReply.parse(parseJson(answer));
  for (const device of devices) {
    if (reply.plaintext[device.uuid] !== text) throw new Error(`GPU ${device.uuid} did not decrypt its text`);
    const proof = reply.proof[device.uuid]?.work_product;
    const good =
      proof?.total_iterations === work.iterations &&
      (await verifier.checkProof(device, work.seed, proof, work.spot(proof.num_matrices)));
    if (!good) throw new Error(`the proof of GPU ${device.uuid} is wrong`);
  }
}

// One proof on each GPU: how much of its memory can really be had, and how fast it computes. Nothing of it leaves the machine.

import { randomBytes } from 'node:crypto';
import { modelOfDevice } from '@miner/controller/domain/gputable.ts';
import type { DeviceInfo, GravalBackend, OgvParams, OgvProver, Prover } from '@miner/graval/backend.ts';

export interface GpuResult {
  device: DeviceInfo;
  /** Of the validator's table; undefined for a model that it does not have. */
  model: string | undefined;
  /** Bytes that were taken and filled. */
  reachedBytes: number | undefined;
  /** Billions of multiplications and additions a second. */
  gmacs: number | undefined;
  /** Random reads of 32 bytes, millions a second. */
  reads: number | undefined;
  /** What went wrong, one sentence. */
  problem: string | undefined;
}

export interface VendorResult {
  /** All GPUs at once, as the validator asks for it. */
  seconds: number;
}

/** The part of the VRAM that a proof fills (graval.md 6.4). */
export const share = 0.95;
const smallCard = 24e9;

/** Of the whole memory of a GPU; of a CPU that stands in for one, what takes a moment. */
export function paramsFor({ memory }: DeviceInfo, kind: GravalBackend['kind']): OgvParams {
  if (kind === 'cpu') return { n: 256, m: 1024, N: 32, R: 1, W: 256, K: 16, G: 8 };
  const [n, m] = [2048, memory <= smallCard * 1.1 ? 4096 : 16_384];
  return { n, m, N: Math.floor((share * memory) / (m * n)), R: 1, W: 65_536, K: 64, G: 8 };
}

function seed(): bigint {
  return (randomBytes(8).readBigUInt64BE() >> 1n) | 1n;
}

interface ProofOptions {
  limitMs: number;
  signal: AbortSignal;
}

export async function proveGpu(
  ogv: OgvProver,
  device: DeviceInfo,
  kind: GravalBackend['kind'],
  { limitMs: deadlineMs, signal }: ProofOptions,
): Promise<GpuResult> {
  const params = paramsFor(device, kind);
  const { n, m, N, R, W, K, G } = params;
  const empty = { device, model: modelOfDevice(device.name)?.ref, reachedBytes: undefined, gmacs: undefined };
  try {
    const challenge = { seed: seed(), nonce: randomBytes(32).toString('hex'), device: device.uuid, params };
    const { sessionId, phaseMs } = await ogv.commit(challenge, { deadlineMs, signal });
    await ogv.discard(sessionId);
    const rate = (count: number, ms: number | undefined) => (ms ? count / ms : undefined);
    return {
      ...empty,
      // A CPU fills a token amount.
      reachedBytes: kind === 'cpu' ? undefined : n * m * N,
      gmacs: rate(((N - 1) * R * m * n * n) / 1e6, phaseMs.fill),
      reads: rate((W * K * G) / 1e3, phaseMs.walk),
      problem: undefined,
    };
  } catch (error) {
    return { ...empty, reads: undefined, problem: error instanceof Error ? error.message : String(error) };
  }
}

/** With the vendor's library: exactly what the validator will ask, without its answer being known. */
export async function timeVendor(
  prover: Prover,
  iterations: number,
  { limitMs: deadlineMs, signal }: ProofOptions,
): Promise<VendorResult> {
  const startedAt = performance.now();
  await prover.prove(seed(), iterations, { deadlineMs, signal });
  return { seconds: (performance.now() - startedAt) / 1000 };
}

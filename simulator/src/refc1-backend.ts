// The backend of the bootstrap server for GPUs that do not exist: records as given, proofs by refc1 in this process, at the pace of the clock.
// The simulated nodes use it, so that no addon has to be built; the CPU backend gives the same answers.

import { type Clock, systemClock } from '@miner/controller/domain/clock.ts';
import { type DeviceInfo, type GpuProof, type GravalBackend, GravalError, type Prover } from '@miner/graval/backend.ts';
import { decryptWith, defaultSizes, infoAnswer, type ProofSizes, prove, type Work } from './refc1.ts';

export interface Refc1Options {
  sizes?: ProofSizes | undefined;
  /** Called after each proof, with its beginning; it ends when this does. Rejects when the GPUs are gone. */
  pace?: (iterations: number, startedAt: number, signal: AbortSignal | undefined) => Promise<void>;
  /** Of `startedAt`. Default: wall clock. */
  clock?: Pick<Clock, 'now'>;
}

export function refc1Backend(devices: readonly DeviceInfo[], options: Refc1Options = {}): GravalBackend {
  const { sizes = defaultSizes, pace, clock = systemClock } = options;
  let proven: { seed: bigint; works: Map<string, Work> } | undefined;
  const prover: Prover = {
    async prove(seed, iterations, { signal } = {}) {
      const startedAt = clock.now();
      const works = new Map<string, Work>();
      const proofs: Record<string, GpuProof> = {};
      for (const [device_id, device] of devices.entries()) {
        if (signal?.aborted) throw new GravalError('ABORTED', 'the proof was stopped');
        const work = prove(seed, iterations, device, sizes);
        works.set(device.uuid, work);
        const { uuid, name } = device;
        proofs[uuid] = { device_id, device_uuid: uuid, device_name: name, work_product: work.workProduct };
        // Others are answered in between.
        await new Promise((resolve) => setImmediate(resolve));
      }
      await pace?.(iterations, startedAt, signal);
      if (signal?.aborted) throw new GravalError('ABORTED', 'the proof was stopped');
      proven = { seed, works };
      return proofs;
    },
    async decrypt({ seed, uuid, iv, ciphertext }) {
      const work = proven?.works.get(uuid);
      if (!work) throw new GravalError('NOT_PROVEN', `GPU ${uuid} has proven nothing yet`);
      if (proven?.seed !== seed) throw new GravalError('SEED_MISMATCH', `GPU ${uuid} has proven another seed`);
      const text = decryptWith(work, Buffer.concat([iv, ciphertext]).toString('base64'));
      if (text === undefined) throw new GravalError('DECRYPT_FAILED', `the text was not encrypted for GPU ${uuid}`);
      return text;
    },
    infoChallenge: async (challenge) => infoAnswer(challenge, devices),
    fsChallenge: () => Promise.reject(new GravalError('BAD_INPUT', 'simulated GPUs have no files')),
  };
  return {
    kind: 'cpu',
    devices: async () => [...devices],
    prover,
    async close() {
      proven = undefined;
    },
  };
}

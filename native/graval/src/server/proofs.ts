// One lock over the GPUs: one request proves, one may wait, a third is refused. A proof ends with its time limit, with its caller, or with
// the server.

import type { DeviceInfo, Prover } from '../backend.ts';
import { refusal } from './problem.ts';
import type { ProveReply, ProveRequest } from './wire.ts';

export interface Proofs {
  /** Rejects with BUSY, TIMEOUT, ABORTED, BAD_INPUT or the backend's own code. */
  prove(request: ProveRequest, caller: AbortSignal): Promise<ProveReply>;
  /** Requests that prove or wait. */
  load(): number;
  /** End what runs; resolves when the GPUs are free. */
  stop(): Promise<void>;
}

export interface ProofsOptions {
  prover: Prover;
  devices: readonly DeviceInfo[];
  /** Wall-clock ms for one proof of all GPUs, waiting not counted. */
  limitMs: number;
  /** A text that could not be decrypted: no reason to refuse the proof, but somebody has to hear of it. */
  onUndecrypted(uuid: string, error: unknown): void;
}

const mostWaiting = 1;

export function createProofs({ prover, devices, limitMs, onUndecrypted }: ProofsOptions): Proofs {
  const stopping = new AbortController();
  let queue: Promise<unknown> = Promise.resolve();
  let load = 0;

  async function work({ seed, iterations, ciphertext }: ProveRequest, caller: AbortSignal): Promise<ProveReply> {
    const late = AbortSignal.timeout(limitMs);
    const signal = AbortSignal.any([stopping.signal, caller, late]);
    if (signal.aborted) throw refusal('ABORTED', 'the proof was not begun: its caller is gone');
    try {
      const proof = await prover.prove(seed, iterations, { signal, deadlineMs: limitMs });
      const plaintext: Record<string, string> = {};
      for (const [uuid, { iv, ciphertext: text }] of Object.entries(ciphertext)) {
        try {
          plaintext[uuid] = await prover.decrypt({ seed, uuid, iv, ciphertext: text });
        } catch (error) {
          onUndecrypted(uuid, error);
        }
      }
      return { devices, seed, proof, plaintext };
    } catch (error) {
      // A backend that was told to stop says ABORTED, whatever the reason was.
      if (late.aborted) throw refusal('TIMEOUT', `the proof took longer than ${Math.round(limitMs / 1000)} s`);
      throw error;
    }
  }

  return {
    prove(request, caller) {
      const known = new Set(devices.map(({ uuid }) => uuid));
      const foreign = Object.keys(request.ciphertext).find((uuid) => !known.has(uuid));
      if (foreign) return Promise.reject(refusal('BAD_INPUT', `GPU ${foreign} is not one of this server`));
      if (load > mostWaiting) return Promise.reject(refusal('BUSY', 'a proof is running and another one waits'));
      load += 1;
      const done = queue
        .then(() => work(request, caller))
        .finally(() => {
          load -= 1;
        });
      queue = done.catch(() => undefined);
      return done;
    },
    load: () => load,
    async stop() {
      stopping.abort();
      await queue;
    },
  };
}

// The GraVal bootstrap as the verification pod serves it (protocol.md 4.2), with the open proof profile refc1 in place of the closed
// library. A proof takes as long as the validator expects of the GPU model; the pod's clock is the cluster's.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '@miner/controller/domain/clock.ts';
import { toJson } from '../lossless.ts';
import type { ProofSizes } from '../refc1.ts';
import { infoAnswer } from '../refc1.ts';
import { answerProve, readProveRequest } from '../refc1-wire.ts';
import { modelOf, type SimulatedDevice } from './devices.ts';
import { readBody, sendJson, sendText } from './listen.ts';
import { isSigned, type SignatureCheck } from './signed.ts';

export interface BootstrapOptions {
  devices: readonly SimulatedDevice[];
  proofSizes: ProofSizes;
  gpuShortRef: string;
  /** Environment of the pod: MINER_HOTKEY_SS58 and VALIDATOR_WHITELIST (comma list). */
  minerHotkey: string;
  validators: readonly string[];
  clock: Clock;
  /** Aborts when the pod ends. */
  signal: AbortSignal;
}

export function bootstrapHandler(
  options: BootstrapOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { clock, devices, minerHotkey: miner, validators, signal } = options;
  let queue: Promise<unknown> = Promise.resolve();

  function allowed(request: IncomingMessage, signers: readonly string[], tail: SignatureCheck['tail']): boolean {
    return isSigned(request, { miner, signers, tail });
  }

  /** One proof at a time: the GPUs are all taken by it. */
  function prove(body: string): Promise<string> {
    const work = queue.then(async () => {
      const startedAt = clock.now();
      const request = readProveRequest(body);
      const reply = toJson(answerProve(request, devices, options.proofSizes));
      const { iterations, estimateSeconds } = modelOf(options.gpuShortRef).graval;
      const seconds = (estimateSeconds * request.iterations) / iterations;
      await clock.sleep(Math.max(0, startedAt + seconds * 1000 - clock.now()), signal);
      return reply;
    });
    queue = work.catch(() => {});
    return work;
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://bootstrap');
    const body = await readBody(request);
    const route = `${request.method} ${url.pathname}`;
    const refuse = () => sendJson(response, 401, { detail: 'Unauthorized' });
    if (route === 'GET /ping') return sendText(response, 200, 'text/plain', 'pong');
    if (route === 'GET /devices') {
      if (!allowed(request, [miner], { purpose: 'graval' })) return refuse();
      return sendJson(response, 200, { devices });
    }
    if (route === 'GET /info') {
      if (!allowed(request, validators, { purpose: 'graval' })) return refuse();
      const challenge = url.searchParams.get('challenge') ?? '';
      if (!/^[0-9a-f]{64}$/.test(challenge)) return sendJson(response, 422, { detail: 'challenge: 64 hex digits' });
      return sendText(response, 200, 'text/plain', infoAnswer(challenge, devices));
    }
    if (route === 'POST /prove') {
      if (!allowed(request, validators, { body })) return refuse();
      try {
        return sendText(response, 200, 'application/json', await prove(body));
      } catch {
        return sendJson(response, 422, { detail: 'the body is no proof request' });
      }
    }
    sendJson(response, 404, { detail: 'Not Found' });
  }

  return (request, response) => {
    handle(request, response).catch(() => response.destroy());
  };
}

// A client of the miner API: signed requests, and the progress stream of add-node (protocol.md 4.1).

import { managementHeaders } from '@miner/controller/signing/sign.ts';
import type { Signer } from '@miner/controller/signing/sr25519.ts';
import { CliError } from './errors.ts';
import { createRemote, type Remote, unreachable } from './http.ts';
import { parseJson, withoutControls } from './json.ts';
import { eventsOf } from './stream.ts';

export interface AddNodeRequest {
  name: string;
  validator: string;
  hourly_cost: number;
  gpu_short_ref: string;
  agent_api: string;
}

/** One line of the add-node stream; `timestamp` is naive UTC. */
export interface ProgressMessage {
  timestamp: string;
  message: string;
}

/** Verification of a slow GPU takes minutes; upstream's client gives it this long too. */
export const addNodeTimeoutMs = 900_000;

export interface MinerApi {
  /** Rejects with CliError on a refusal, when the stream says that it failed, and when it is cut off. */
  addNode(request: AddNodeRequest, onMessage: (message: ProgressMessage) => void): Promise<void>;
  get(path: string): Promise<unknown>;
  delete(path: string): Promise<unknown>;
}

function progressOf(data: string): ProgressMessage {
  try {
    const { timestamp = '', message = '' } = parseJson(data) as Partial<ProgressMessage>;
    return { timestamp: String(timestamp), message: String(message) };
  } catch {
    return { timestamp: '', message: withoutControls(data) };
  }
}

/** Our API names the code in its last message; upstream ends the stream well only when it is done or the validator refused. */
function failureOf(last: string, isCut: boolean): CliError | undefined {
  const [, code, reason] = /^FAILED: (E-[A-Z-]+) (.*)$/s.exec(last) ?? [];
  if (code !== undefined) {
    const refused = code === 'E-VALIDATOR' || /^the validator refused/.test(reason ?? '');
    return new CliError(code as `E-${string}`, `the node was not added: ${reason}`, {
      outcome: refused ? 'refused' : 'failed',
      hint: refused
        ? 'nothing was left behind; `chutes-miner inventory diff` shows what the validator knows'
        : undefined,
    });
  }
  if (/completed server bootstrapping/.test(last)) return undefined;
  if (isCut) return new CliError('E-VERIFICATION', `the miner gave up adding the node: ${last || 'no reason given'}`);
  return new CliError('E-VALIDATOR', `the validator did not take the node: ${last || 'no reason given'}`, {
    outcome: 'refused',
    hint: '`chutes-miner remote-inventory` shows whether it holds an old entry; delete-remote removes one',
  });
}

export async function addNode(
  remote: Remote,
  request: AddNodeRequest,
  onMessage: (message: ProgressMessage) => void,
  timeoutMs = addNodeTimeoutMs,
): Promise<void> {
  const response = await remote.send('POST', '/servers/', { body: JSON.stringify(request), timeoutMs });
  let last = '';
  let cut: unknown;
  try {
    for await (const data of eventsOf(response)) {
      const message = progressOf(data);
      last = message.message;
      onMessage(message);
    }
  } catch (error) {
    cut = error;
  }
  if (cut instanceof Error && ['TimeoutError', 'AbortError'].includes(cut.name)) {
    const hint = `the miner may still be at work: chutes-miner node show ${request.name}`;
    throw unreachable(remote.kind, remote.url, cut, hint);
  }
  const failure = failureOf(last, cut !== undefined);
  if (failure) throw failure;
}

export function createMinerApi(baseUrl: string, signer: Signer): MinerApi {
  const remote = createRemote({
    kind: 'miner API',
    url: baseUrl,
    sign: (content) => managementHeaders(signer, content),
  });
  return {
    addNode: (request, onMessage) => addNode(remote, request, onMessage),
    get: (path) => remote.json('GET', path, { purpose: 'management' }),
    delete: (path) => remote.json('DELETE', path, { purpose: 'management' }),
  };
}

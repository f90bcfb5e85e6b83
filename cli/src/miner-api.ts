// A client of the miner API: signed requests, and the progress stream of add-node (protocol.md 4.1). Signs each request anew.

import { managementHeaders, type SignedContent } from '@miner/controller/signing/sign.ts';
import type { Signer } from '@miner/controller/signing/sr25519.ts';

/** The API said no: `status` and its own words. */
export class MinerApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'MinerApiError';
    this.status = status;
  }
}

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
const addNodeTimeoutMs = 900_000;
const requestTimeoutMs = 30_000;

export interface MinerApi {
  /** Rejects with MinerApiError on a refusal; a stream that ends with `FAILED:` or is cut off rejects too. */
  addNode(request: AddNodeRequest, onMessage: (message: ProgressMessage) => void): Promise<void>;
  get(path: string): Promise<unknown>;
  delete(path: string): Promise<unknown>;
}

export function createMinerApi(baseUrl: string, signer: Signer): MinerApi {
  async function request(method: string, path: string, body: string | undefined, timeoutMs: number): Promise<Response> {
    const content: SignedContent = body === undefined ? { purpose: 'management' } : { body };
    const response = await fetch(`${baseUrl.replace(/\/$/, '')}${path}`, {
      method,
      headers: {
        ...managementHeaders(signer, content),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.ok) return response;
    const text = await response.text();
    throw new MinerApiError(response.status, `${method} ${path}: ${response.status} ${detailOf(text)}`);
  }

  return {
    async addNode(node, onMessage) {
      const response = await request('POST', '/servers/', JSON.stringify(node), addNodeTimeoutMs);
      let last = '';
      for await (const message of progressOf(response)) {
        last = message.message;
        onMessage(message);
      }
      if (last.startsWith('FAILED')) throw new MinerApiError(200, last);
    },
    get: async (path) => (await request('GET', path, undefined, requestTimeoutMs)).json(),
    delete: async (path) => (await request('DELETE', path, undefined, requestTimeoutMs)).json(),
  };
}

async function* progressOf(response: Response): AsyncGenerator<ProgressMessage> {
  if (!response.body) return;
  let rest = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('data: ')) yield JSON.parse(line.slice(6));
  }
}

function detailOf(text: string): string {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && 'detail' in parsed) return String(parsed.detail);
  } catch {
    // Not JSON: say it as it came.
  }
  return text.slice(0, 500);
}

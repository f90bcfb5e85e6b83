// For tests: the validator's end of a claim, so that a pod's calls can be counted, refused and checked.

import { createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { z } from 'zod';
import { parseJson, toJson } from '../lossless.ts';
import { encryptWith, type ProofDevice, prove } from '../refc1.ts';
import { type Listener, listenHttp, readBody, sendJson, sendText } from './listen.ts';

export interface ClaimEndpoint {
  url: string;
  /** Requests in order: `POST <config id>` and so on. */
  calls: string[];
  /** Address the last request came from. */
  lastPeer: string | undefined;
  /** Status to answer the next requests of a method with, first in first out. */
  refuse: { method: string; status: number }[];
  /** Launch token whose claim URL leads here. */
  token(configId: string): Promise<string>;
  close(): Promise<void>;
}

const claimBody = z.looseObject({
  gpus: z.array(z.custom<ProofDevice>((value) => typeof value === 'object')),
  host: z.string(),
  port_mappings: z.array(z.looseObject({ internal_port: z.int(), external_port: z.int() })).min(2),
});

/** The validator's side of a claim, for one GPU per pod: really encrypts, really checks what comes back. */
export async function startClaimEndpoint(): Promise<ClaimEndpoint> {
  const seed = 4611686018427387905n;
  const keys = new Map<string, string>();
  const endpoint = {
    calls: [] as string[],
    refuse: [] as ClaimEndpoint['refuse'],
    lastPeer: undefined as string | undefined,
  };
  const listener: Listener = await listenHttp('127.0.0.1', 0, (request, response) => {
    void (async () => {
      const [, , configId = '', activate] = (request.url ?? '').split('/');
      const body = await readBody(request);
      endpoint.calls.push(`${request.method} ${configId}`);
      endpoint.lastPeer = request.socket.remoteAddress;
      const refusal = endpoint.refuse.findIndex(({ method }) => method === request.method);
      if (refusal >= 0)
        return sendJson(response, endpoint.refuse.splice(refusal, 1)[0]?.status ?? 500, { detail: 'no' });
      if (!request.headers.authorization?.startsWith('eyJ')) return sendJson(response, 401, { detail: 'no' });
      const text = `secret is ${configId} ${seed}`;
      if (request.method === 'POST') {
        const [gpu] = claimBody.parse(JSON.parse(body)).gpus;
        if (!gpu) return sendJson(response, 400, { detail: 'no GPU' });
        const key = randomBytes(16).toString('hex');
        keys.set(configId, key);
        const ciphertext = encryptWith(prove(seed, 1, gpu), key);
        const symmetric_key = { ciphertext, uuid: gpu.uuid, response_plaintext: text };
        return sendText(
          response,
          200,
          'application/json',
          toJson({ seed, iterations: 1, job_id: null, symmetric_key }),
        );
      }
      if (request.method === 'PUT') {
        const answer = z.object({ response: z.string(), iv: z.string() }).parse(parseJson(body));
        const key = Buffer.from(keys.get(configId) ?? '', 'hex');
        const decipher = createDecipheriv('aes-128-cbc', key, Buffer.from(answer.iv, 'hex'));
        const plain = decipher.update(answer.response, 'base64', 'utf8') + decipher.final('utf8');
        if (plain !== text) return sendJson(response, 400, { detail: 'wrong' });
        return sendJson(response, 200, {
          instance_id: randomUUID(),
          activation_url: `${url}/claim/${configId}/activate`,
        });
      }
      sendJson(response, activate ? 200 : 404, { ok: true });
    })().catch(() => response.destroy());
  });
  const url = `http://127.0.0.1:${listener.port}`;
  return Object.assign(endpoint, {
    url,
    token: (configId: string) =>
      new SignJWT({ url: `${url}/claim/${configId}`, env_key: '00' })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(configId)
        .sign(new TextEncoder().encode('a key that only the validator knows')),
    close: () => listener.close(),
  });
}

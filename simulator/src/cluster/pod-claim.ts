// The calls a chute pod makes to the validator: claim its instance, prove its GPUs, activate (protocol.md 6.4). They leave from the
// server's own address, so that the validator sees the egress address it would see in the world.

import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { decodeJwt } from 'jose';
import { z } from 'zod';
import type { SimulatedDevice } from './devices.ts';

export interface Reply {
  /** HTTP status; 0 when no answer came. */
  status: number;
  text: string;
}

export interface PodIdentity {
  /** Launch token. */
  token: string;
  localAddress: string;
  signal: AbortSignal;
}

const timeoutMs = 30_000;

function call(method: string, url: string, identity: PodIdentity, body?: string): Promise<Reply> {
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  const { localAddress, signal, token } = identity;
  const headers: Record<string, string> = { authorization: token };
  if (body !== undefined) headers['content-type'] = 'application/json';
  return new Promise((resolve) => {
    const none = (error: Error) => resolve({ status: 0, text: error.message });
    const request = send(
      url,
      { method, headers, localAddress, family: 4, signal, timeout: timeoutMs, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', none);
      },
    );
    request.on('error', none);
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.end(body);
  });
}

const launchClaims = z.looseObject({ sub: z.string(), url: z.string() });

/** Config id and claim URL of a launch token; undefined when it is none. The pod has no key to verify it with. */
export function readLaunchToken(token: string): { configId: string; url: string } | undefined {
  try {
    const { sub, url } = launchClaims.parse(decodeJwt(token));
    return { configId: sub, url };
  } catch {
    return undefined;
  }
}

export interface ClaimBody {
  gpus: readonly SimulatedDevice[];
  host: string;
  port_mappings: { internal_port: number; external_port: number; proto: string; default: boolean }[];
  env: string;
  code: string;
}

/** Port mappings from the pod's environment: 8000 and 8001 first, then attestation, then the job's ports. */
export function portMappings(env: Readonly<Record<string, string>>): ClaimBody['port_mappings'] {
  const builtIn = { CHUTES_PORT_PRIMARY: 8000, CHUTES_PORT_LOGGING: 8001, CHUTES_PORT_ATTESTATION: 8002 };
  const mappings = Object.entries(builtIn).flatMap(([name, internal_port]) => {
    const external_port = Number(env[name]);
    return external_port > 0 ? [{ internal_port, external_port, proto: 'tcp', default: true }] : [];
  });
  for (const [name, value] of Object.entries(env)) {
    const [, proto, port] = /^CHUTES_PORT_(TCP|UDP|HTTP)_(\d+)$/.exec(name) ?? [];
    if (!proto || !port) continue;
    mappings.push({
      internal_port: Number(port),
      external_port: Number(value),
      proto: proto.toLowerCase(),
      default: false,
    });
  }
  return mappings;
}

export function claimInstance(url: string, identity: PodIdentity, body: ClaimBody): Promise<Reply> {
  return call('POST', url, identity, JSON.stringify(body));
}

export function sendProof(url: string, identity: PodIdentity, answer: unknown): Promise<Reply> {
  return call('PUT', url, identity, JSON.stringify(answer));
}

export function activateInstance(url: string, identity: PodIdentity): Promise<Reply> {
  return call('GET', url, identity);
}

const proofReply = z.looseObject({ instance_id: z.string().optional(), activation_url: z.string() });

/** Where to activate, from the answer to the proof; undefined when the answer is unusable. */
export function readActivationUrl(text: string): string | undefined {
  try {
    return proofReply.parse(JSON.parse(text)).activation_url;
  } catch {
    return undefined;
  }
}

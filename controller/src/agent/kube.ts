// Reads from the Kubernetes API of the agent's own cluster, as it answers: objects are passed on, so they stay JSON. Answers come back
// whatever their status; only silence rejects, with E-CLUSTER. No message repeats an answer, Secrets are among them.

import { type IncomingMessage, request as plainRequest } from 'node:http';
import { type RequestOptions, request as tlsRequest } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { MinerError, messageOf } from '../domain/errors.ts';

export interface KubeAnswer {
  status: number;
  /** Undefined when the answer is not JSON. */
  body: unknown;
}

export interface Kube {
  /** `path` with its query, below the API server. */
  get(path: string): Promise<KubeAnswer>;
}

const timeoutMs = 15_000;

async function readAnswer(answer: IncomingMessage): Promise<KubeAnswer> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  const status = answer.statusCode ?? 0;
  try {
    return { status, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) };
  } catch {
    return { status, body: undefined };
  }
}

/** Address and credentials are those of the config's current context; a service account's token is read anew when it changes. */
export function createKube(config: KubeConfig): Kube {
  const server = config.getCurrentCluster()?.server;
  if (!server) throw new MinerError('E-CLUSTER', 'no API server is configured: run in a pod, or name a kubeconfig');

  async function get(path: string): Promise<KubeAnswer> {
    const options: RequestOptions = { method: 'GET', signal: AbortSignal.timeout(timeoutMs) };
    try {
      await config.applyToHTTPSOptions(options);
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      const send = server?.startsWith('http:') ? plainRequest : tlsRequest;
      const { agent, ...plain } = options;
      send(server + path, server?.startsWith('http:') ? plain : options, resolve)
        .on('error', reject)
        .end();
      return await readAnswer(await promise);
    } catch (error) {
      const message = `the Kubernetes API at ${server} cannot be reached: ${messageOf(error)}`;
      throw new MinerError('E-CLUSTER', message, { cause: error });
    }
  }

  return { get };
}

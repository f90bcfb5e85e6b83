// One request to the API of the own cluster, as its kubeconfig or service account says.

import { request as plainRequest } from 'node:http';
import { type RequestOptions, request as tlsRequest } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';

const timeoutMs = 10_000;

export interface Answer {
  /** HTTP status. */
  status: number;
  text: string;
}

/** `body` is JSON; rejects only when there is no answer within 10 s. */
export async function callApi(
  config: KubeConfig,
  method: 'GET' | 'PATCH',
  path: string,
  patch?: { type: 'application/json-patch+json' | 'application/merge-patch+json'; body: string },
): Promise<Answer> {
  const server = config.getCurrentCluster()?.server ?? '';
  const options: RequestOptions = { method, signal: AbortSignal.timeout(timeoutMs) };
  await config.applyToHTTPSOptions(options);
  const isPlain = server.startsWith('http:');
  const { agent, ...plain } = options;
  const headers = { ...options.headers, accept: 'application/json', ...(patch && { 'content-type': patch.type }) };
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const send = isPlain ? plainRequest : tlsRequest;
  send(server + path, { ...(isPlain ? plain : options), headers }, (answer) => {
    let text = '';
    answer.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text })).once('error', reject);
  })
    .once('error', reject)
    .end(patch?.body);
  return promise;
}

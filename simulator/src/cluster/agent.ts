// The node agent of a GPU server: hands its kubeconfig to the miner who owns it (protocol.md 4.3). The push feed of the old monitor
// is not played: the miner watches the member itself.

import { type Listener, listenHttp, sendJson, sendText } from './listen.ts';
import { isSigned } from './signed.ts';

export interface AgentOptions {
  ip: string;
  port: number;
  minerHotkey: string;
  kubeconfig: string;
}

/** Kubeconfig with context, cluster and user named after the node. */
export function kubeconfigFor(name: string, server: string, token: string): string {
  return [
    'apiVersion: v1',
    'kind: Config',
    `current-context: ${name}`,
    'clusters:',
    `- name: ${name}`,
    '  cluster:',
    `    server: ${server}`,
    // Plain HTTP is what the client library asks this for.
    '    insecure-skip-tls-verify: true',
    'contexts:',
    `- name: ${name}`,
    '  context:',
    `    cluster: ${name}`,
    `    user: ${name}`,
    '    namespace: chutes',
    'users:',
    `- name: ${name}`,
    '  user:',
    `    token: ${token}`,
    '',
  ].join('\n');
}

export function startAgent(options: AgentOptions): Promise<Listener> {
  const { minerHotkey: miner } = options;
  return listenHttp(options.ip, options.port, (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://agent');
    if (request.method !== 'GET') return sendJson(response, 405, { detail: 'Method Not Allowed' });
    if (pathname === '/ping') return sendText(response, 200, 'text/plain', 'pong');
    if (pathname !== '/config/kubeconfig') return sendJson(response, 404, { detail: 'Not Found' });
    const tail = { purpose: 'registration' };
    if (!isSigned(request, { miner, signers: [miner], tail })) {
      return sendJson(response, 401, { detail: 'Unauthorized' });
    }
    sendJson(response, 200, { kubeconfig: options.kubeconfig });
  });
}

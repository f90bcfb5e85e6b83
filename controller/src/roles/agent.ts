// Role `agent`: runs in a pod on every GPU server and answers for its cluster. The controller reads the cluster with the kubeconfig that
// the agent hands out; an older control plane is told of changes.

import pino, { type Logger } from 'pino';
import { createKube } from '../agent/kube.ts';
import { createMonitor } from '../agent/monitor.ts';
import { createRelay } from '../agent/relay.ts';
import { readResources } from '../agent/resources.ts';
import { createAgentServer } from '../agent/server.ts';
import { createUrlFile } from '../agent/urlfile.ts';
import { systemClock } from '../domain/clock.ts';
import { MinerError } from '../domain/errors.ts';
import { isServerName } from '../domain/ids.ts';
import { systemRandom } from '../domain/random.ts';
import { nodeCluster } from '../registry/imagewatch.ts';
import { loadHotkey } from '../signing/hotkey.ts';
import { optional, portNumber, type Role, type RunningRole, required } from './role.ts';

export interface AgentOptions {
  hotkeyFile: string;
  /** Node name, which is the cluster's name. */
  name: string;
  stateDir: string;
  host: string;
  port: number;
  /** Instead of the pod's service account. */
  kubeconfigFile: string | undefined;
  log?: Logger;
}

/** Resolves when the agent listens. */
export async function runAgent(options: AgentOptions): Promise<RunningRole & { url: string }> {
  const { name: cluster, host, port, log = pino() } = options;
  if (!isServerName(cluster)) throw new MinerError('E-USAGE', `--name: found "${cluster}", allowed: the node's name`);
  const kube = createKube(nodeCluster(options.kubeconfigFile));
  const signer = await loadHotkey(options.hotkeyFile);
  const relay = createRelay({
    cluster,
    urlFile: createUrlFile(options.stateDir),
    monitorAt: (url, signal) => createMonitor({ url, cluster, signer, clock: systemClock, signal }),
    readResources: () => readResources(kube),
    clock: systemClock,
    random: systemRandom,
    log,
  });
  const app = await createAgentServer({ miner: signer.address, cluster, kube, relay, clock: systemClock, log });
  const url = await app.listen({ host, port });
  log.info({ url, cluster, hotkey: signer.address }, 'agent is up');
  await relay.resume();
  return {
    url,
    async stop() {
      await relay.close();
      await app.close();
      signer.close();
    },
  };
}

export const role: Role = {
  summary: 'Answers for the cluster of one GPU server: its kubeconfig for the miner, reports for older control planes.',
  help: `  --hotkey FILE        hotkey of the miner (wallet JSON); nobody else is answered
  --name NODE          name of the node, which is the name of the cluster
  --state-dir FOLDER   on the host's disk: keeps where to report over a restart (default: /var/lib/chutes/agent)
  --host ADDRESS       address to listen on (default: 0.0.0.0)
  --port PORT          port to listen on (default: 8000)
  --kubeconfig FILE    cluster to answer for (default: that of the pod's service account)`,
  options: {
    hotkey: { type: 'string' },
    name: { type: 'string' },
    'state-dir': { type: 'string', default: '/var/lib/chutes/agent' },
    host: { type: 'string', default: '0.0.0.0' },
    port: { type: 'string', default: '8000' },
    kubeconfig: { type: 'string' },
  },
  start: (values) =>
    runAgent({
      hotkeyFile: required(values, 'hotkey'),
      name: required(values, 'name'),
      stateDir: required(values, 'state-dir'),
      host: required(values, 'host'),
      port: portNumber(values, 'port'),
      kubeconfigFile: optional(values, 'kubeconfig'),
    }),
};

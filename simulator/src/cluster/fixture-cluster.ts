// For tests: the options of a small cluster on a fast clock, and clients for it.

import { BatchV1Api, CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { scaledClock } from '@miner/controller/domain/clock.ts';
import type { ClusterOptions, SimulatedCluster } from './cluster.ts';
import { loopbackBase, miner, validator } from './fixtures.ts';
import { makeServers, type SimulatedServer } from './servers.ts';

/** Three servers: 8x 4090, 8x h100_sxm, 4x a6000. */
export const servers = makeServers(3, 7, loopbackBase()) as [SimulatedServer, SimulatedServer, SimulatedServer];

/** Clock 400 times as fast as the world; launches as short as a small model makes them. */
export function clusterOptions(repository: string, more: Partial<ClusterOptions> = {}): ClusterOptions {
  return {
    servers,
    repository,
    clock: scaledClock(400, Date.now()),
    minerHotkey: miner.hotkey,
    validator: { hotkey: validator.hotkey, api: 'http://127.0.0.1:1' },
    modelSizes: () => ({ imageGb: 2, modelGb: 5, modelKey: 'model', warmupSeconds: 10 }),
    random: Math.random,
    ...more,
  };
}

export function clientsOf(cluster: SimulatedCluster, name: string) {
  const config = new KubeConfig();
  config.loadFromString(cluster.kubeconfig(name));
  return { config, core: config.makeApiClient(CoreV1Api), batch: config.makeApiClient(BatchV1Api) };
}

/** The launch Secret of a deployment. */
export function secretFor(deploymentId: string, token: string) {
  return { metadata: { name: `launch-${deploymentId}`, namespace: 'chutes' }, stringData: { token } };
}

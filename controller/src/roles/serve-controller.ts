// Role `controller`: the controller as a process of its own, with PostgreSQL and Redis, and the link that Gepetto works through.

import pino, { type Logger } from 'pino';
import { systemClock } from '../domain/clock.ts';
import { openApplications } from '../kubernetes/applications.ts';
import { followLockRequests, type LockRequestOptions } from '../kubernetes/lockrequests.ts';
import { serveLink } from '../link/server.ts';
import { nodeCluster } from '../registry/imagewatch.ts';
import { loadHotkey } from '../signing/hotkey.ts';
import { demandConfiguration } from './configuration.ts';
import { connectionHelp, connectionOptions, openConnections } from './connections.ts';
import { startController } from './controller.ts';
import { gitState } from './gitwatch.ts';
import { type OptionValues, optional, portNumber, type Role, type RunningRole, required } from './role.ts';

export interface ServedController extends RunningRole {
  /** Of the miner API. */
  url: string;
  linkUrl: string;
}

/** Undefined without `--argocd-namespace`: then Argo CD looks when it does, and its buttons are not heard. */
function argocdOf(values: OptionValues, log: Logger): Omit<LockRequestOptions, 'onAsked'> | undefined {
  const namespace = optional(values, 'argocd-namespace');
  return namespace === undefined ? undefined : { config: nodeCluster(optional(values, 'kubeconfig')), namespace, log };
}

export async function serveController(values: OptionValues, log: Logger = pino()): Promise<ServedController> {
  const ports = { api: portNumber(values, 'port'), link: portNumber(values, 'link-port') };
  const started: (() => unknown)[] = [];
  /** Ends what was started, last first. */
  async function stop(): Promise<void> {
    for (let end = started.pop(); end; end = started.pop()) await end();
  }
  try {
    const signer = await loadHotkey(required(values, 'hotkey'));
    started.push(signer.close);
    // The controller writes `servers/` on main and renders nothing.
    let wake: () => void = () => undefined;
    let count: () => void = () => undefined;
    const listeners = { lookup: () => undefined, onMoved: () => wake(), onProblem: () => count() };
    const open = await openConnections(values, 'controller', listeners, log);
    started.push(open.close);
    const { store, repo, bus } = open;
    await demandConfiguration(repo, signer.address);
    const argocd = argocdOf(values, log);
    const controller = await startController({
      signer,
      store,
      repo,
      bus,
      busHealth: bus.health,
      applications: argocd && openApplications(argocd),
      gitState: () => gitState(repo),
      clock: systemClock,
      log,
      host: optional(values, 'host') ?? '0.0.0.0',
      port: ports.api,
    });
    started.push(controller.stop);
    if (argocd) started.push(followLockRequests({ ...argocd, onAsked: controller.setLocked }));
    wake = controller.wake;
    count = controller.metrics.gitProblem;
    const link = await serveLink({
      link: controller.link,
      token: open.linkToken,
      log,
      host: optional(values, 'link-host') ?? '0.0.0.0',
      port: ports.link,
    });
    started.push(link.close);
    return { url: controller.url, linkUrl: link.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export const role: Role = {
  summary:
    'Talks to validators and member clusters, holds the hotkey, serves the miner API, and does what Gepetto asks for.',
  help: `  --hotkey FILE            wallet file of the miner's hotkey (JSON with ss58Address and secretSeed)
  --host ADDRESS, --port N where the miner API listens (default 0.0.0.0, 32000)
  --argocd-namespace NAME  after each commit, ask Argo CD there to look at the Applications that it changes, and heed its buttons lock and
                           unlock (default: it looks by itself)
  --kubeconfig FILE        cluster that Argo CD's Applications are in (default: that of the pod's service account)
  --link-host ADDRESS, --link-port N   where Gepetto finds the controller (default 0.0.0.0, 32010)
${connectionHelp}`,
  options: {
    hotkey: { type: 'string' },
    host: { type: 'string' },
    port: { type: 'string', default: '32000' },
    'argocd-namespace': { type: 'string' },
    kubeconfig: { type: 'string' },
    'link-host': { type: 'string' },
    'link-port': { type: 'string', default: '32010' },
    ...connectionOptions,
  },
  start: (values) => serveController(values),
};

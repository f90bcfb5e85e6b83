// Follows the chute pods of one node: list, watch from there, list again when the watch ends, which is soon, and when in doubt.
// While the API does not answer, what is known stays.

import { readFileSync } from 'node:fs';
import { CoreV1Api, KubeConfig, Watch } from '@kubernetes/client-node';
import { type Clock, systemClock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { watchSeconds } from '../domain/watchtime.ts';
import type { PlacedPods } from './placed.ts';

const namespace = 'chutes';
const labelSelector = 'chutes/chute=true';
const relistMs = 30_000;
const listTimeoutMs = 15_000;
const firstDelayMs = 500;
const lastDelayMs = 10_000;

export interface ImageWatchOptions {
  config: KubeConfig;
  /** Name of the own node. */
  node: string;
  placed: Pick<PlacedPods, 'put' | 'remove' | 'replace'>;
  onFailure(why: string): void;
  clock?: Clock;
  random?: () => number;
}

export interface ImageWatch {
  /** When the last complete list came, ms since the Unix epoch; undefined before the first. */
  listedAt(): number | undefined;
  stop(): Promise<void>;
}

/** From a kubeconfig file, or as a pod of the cluster when there is none. Throws E-USAGE when it names no API server. */
export function nodeCluster(file: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (file === undefined) {
      if (!process.env.KUBERNETES_SERVICE_HOST) throw new TypeError('not in a cluster');
      config.loadFromCluster();
    } else config.loadFromString(readFileSync(file, 'utf8'));
    if (config.getCurrentCluster()?.server) return config;
  } catch {
    // What the reader says may quote the file, so it is not passed on.
  }
  const found = file === undefined ? 'nothing, outside of a cluster' : `${file}, which names no API server`;
  throw new MinerError('E-USAGE', `--kubeconfig: found ${found}, allowed: a kubeconfig file`);
}

/** A list that hangs is given up; the watch has a limit of its own. */
function limitTime(config: KubeConfig, signal: AbortSignal): void {
  const authenticate = config.applySecurityAuthentication.bind(config);
  config.applySecurityAuthentication = async (context) => {
    await authenticate(context);
    context.setSignal(AbortSignal.any([signal, AbortSignal.timeout(listTimeoutMs)]));
  };
}

/** Runs until `stop`, which resolves when the last step is over. */
export function watchImages(options: ImageWatchOptions): ImageWatch {
  const { config, node, placed, onFailure, clock = systemClock, random = Math.random } = options;
  const fieldSelector = `spec.nodeName=${node}`;
  const stopping = new AbortController();
  const { signal } = stopping;
  limitTime(config, signal);
  const core = config.makeApiClient(CoreV1Api);
  let listedAt: number | undefined;

  async function list(): Promise<string> {
    const answer = await core.listNamespacedPod({ namespace, labelSelector, fieldSelector });
    placed.replace(answer.items);
    listedAt = clock.now();
    return answer.metadata?.resourceVersion ?? '';
  }

  /** Resolves when the watch is over, at the latest when the next list is due; rejects when it was refused or broke before that. */
  async function follow(resourceVersion: string): Promise<void> {
    const over = new AbortController();
    const ended = Promise.withResolvers<void>();
    const watching = new Watch(config).watch(
      `/api/v1/namespaces/${namespace}/pods`,
      {
        labelSelector,
        fieldSelector,
        resourceVersion,
        allowWatchBookmarks: true,
        timeoutSeconds: watchSeconds(random),
      },
      (type: string, pod: unknown) => {
        if (over.signal.aborted) return;
        if (type === 'ADDED' || type === 'MODIFIED') placed.put(pod);
        else if (type === 'DELETED') placed.remove(pod);
        else if (type === 'ERROR') ended.resolve();
      },
      (error: unknown) => (error ? ended.reject(error) : ended.resolve()),
    );
    watching.catch(ended.reject);
    const due = clock.sleep(relistMs, AbortSignal.any([signal, over.signal]));
    try {
      await Promise.race([ended.promise, due]);
    } finally {
      over.abort();
      watching.then((controller) => controller.abort()).catch(() => undefined);
    }
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const startedAt = clock.now();
      try {
        await follow(await list());
        failures = clock.now() - startedAt < firstDelayMs ? failures + 1 : 0;
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        onFailure(messageOf(error).slice(0, 200));
      }
      const delay = Math.min(lastDelayMs, firstDelayMs * 2 ** (failures - 1)) * (1 - random() / 2);
      if (failures > 0) await clock.sleep(delay, signal);
    }
  }

  const running = run();
  return {
    listedAt: () => listedAt,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

// One member's Kubernetes API: clients with one connection pool, a time limit on every call, and every failure as E-CLUSTER without
// request bodies or headers in it. What is called is up to the other files.

import { setImmediate } from 'node:timers/promises';
import { ApiException, BatchV1Api, CoreV1Api, KubeConfig, type RequestContext, Watch } from '@kubernetes/client-node';
import { z } from 'zod';
import { MinerError, messageOf } from '../domain/errors.ts';

/** The connection of an answer can be used again a turn later; who asks before that opens another one. */
const connectionFree = () => setImmediate();

const connectTimeoutMs = 5_000;
const requestTimeoutMs = 15_000;

type Dispatcher = NonNullable<ReturnType<RequestContext['getDispatcher']>>;

export interface Watching {
  /** Resolves when the stream is over: true when it lasted until its `timeoutSeconds`, as nothing went wrong then. */
  ended: Promise<boolean>;
  stop(): void;
}

export interface Connection {
  readonly member: string;
  readonly core: CoreV1Api;
  readonly batch: BatchV1Api;
  /**
   * Run one API call. Rejects with E-CLUSTER, whose detail holds `member`, `status` (0: no answer) and `reason`. With `quiet` the text
   * of the answer is left out as well, for calls that carry a token.
   */
  call<T>(what: string, run: () => Promise<T>, options?: { quiet?: boolean }): Promise<T>;
  watch(
    path: string,
    query: Record<string, string | boolean | number> & { timeoutSeconds: number },
    onEvent: (type: string, object: unknown) => void,
  ): Watching;
  /** Next calls open new connections; for when there is doubt about the old ones. */
  renew(): void;
  /** Cuts what is still open. */
  close(): Promise<void>;
}

const statusBody = z.object({ reason: z.string().catch(''), message: z.string().catch('') });

function statusOfBody(body: unknown): z.infer<typeof statusBody> {
  try {
    return statusBody.parse(typeof body === 'string' ? JSON.parse(body) : body);
  } catch {
    return { reason: '', message: '' };
  }
}

/** The innermost cause says what happened (`ECONNREFUSED`); the outer ones only `fetch failed`. */
function networkFailure(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  const code = inner instanceof Error && 'code' in inner && typeof inner.code === 'string' ? `${inner.code} ` : '';
  return `${code}${messageOf(inner)}`.slice(0, 200);
}

function clusterError(member: string, what: string, error: unknown, quiet: boolean): MinerError {
  if (!(error instanceof ApiException)) {
    const detail = { member, status: 0, reason: 'Unreachable' };
    return new MinerError('E-CLUSTER', `cluster ${member} cannot be reached to ${what}: ${networkFailure(error)}`, {
      detail,
    });
  }
  const { reason, message } = statusOfBody(error.body);
  const said = [`HTTP ${error.code}`, reason, quiet ? '' : message.slice(0, 300)].filter(Boolean).join(' ');
  const detail = { member, status: error.code, reason };
  return new MinerError('E-CLUSTER', `cluster ${member} refused to ${what}: ${said}`, { detail });
}

/** True for the E-CLUSTER error of a call that was answered with this HTTP status. */
export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof MinerError && error.code === 'E-CLUSTER' && error.detail?.status === status;
}

/** A call whose object may be missing: undefined then. */
export async function unlessMissing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (hasStatus(error, 404)) return undefined;
    throw error;
  }
}

/** Context of this name; `current-context` is not trusted, provisioning writes it wrongly (kubernetes.md 4.1). */
function loadConfig(member: string, kubeconfig: string): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromString(kubeconfig);
  } catch {
    throw new MinerError('E-CLUSTER', `the kubeconfig of ${member} cannot be read`, { detail: { member } });
  }
  const names = config.getContexts().map(({ name }) => name);
  if (!names.includes(member)) {
    throw new MinerError(
      'E-NAME-CONTEXT',
      `the kubeconfig has no context "${member}"; it has ${names.join(', ') || 'none'}`,
      {
        detail: { member, contexts: names },
      },
    );
  }
  config.setCurrentContext(member);
  const cluster = config.getCurrentCluster();
  if (!cluster?.server) {
    throw new MinerError('E-CLUSTER', `the kubeconfig of ${member} names no API server`, { detail: { member } });
  }
  // The client refuses plain HTTP, rightly, but on the machine itself nobody listens in.
  const isLoopback = /^http:\/\/(127\.[\d.]+|localhost|\[::1\])(:|\/|$)/.test(cluster.server);
  if (isLoopback)
    config.clusters = config.clusters.map((one) => (one === cluster ? { ...one, skipTLSVerify: true } : one));
  return config;
}

/** Throws E-NAME-CONTEXT when the kubeconfig (YAML or JSON) has no context of the member's name, E-CLUSTER when it cannot be used. */
export function connect(member: string, kubeconfig: string): Connection {
  const config = loadConfig(member, kubeconfig);
  const closing = new AbortController();
  const retired = new Set<Dispatcher>();
  let dispatcher: Dispatcher | undefined;

  // The client would open a new pool for every request; ours is kept, and gets the connect timeout.
  const optionsOf = config.createDispatcherOptions.bind(config);
  config.createDispatcherOptions = (cluster, agentOptions) => {
    if (dispatcher) return { type: 'none' };
    const options = optionsOf(cluster, agentOptions);
    if (options.type === 'proxy' || options.type === 'socks') return options;
    const given = options.type === 'agent' ? options.connect : { keepAlive: true, keepAliveInitialDelay: 30_000 };
    return { type: 'agent', connect: { ...given, timeout: connectTimeoutMs } };
  };
  const authenticate = config.applySecurityAuthentication.bind(config);
  config.applySecurityAuthentication = async (context) => {
    await authenticate(context);
    dispatcher ??= context.getDispatcher();
    if (dispatcher) context.setDispatcher(dispatcher);
    context.setSignal(AbortSignal.any([closing.signal, AbortSignal.timeout(requestTimeoutMs)]));
  };

  return {
    member,
    core: config.makeApiClient(CoreV1Api),
    batch: config.makeApiClient(BatchV1Api),
    async call(what, run, { quiet = false } = {}) {
      try {
        return await run().finally(connectionFree);
      } catch (error) {
        throw clusterError(member, what, error, quiet);
      }
    },
    watch(path, query, onEvent) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const startedAt = performance.now();
      const atLeastMs = (query.timeoutSeconds - 1) * 1000;
      const started = new Watch(config).watch(path, query, onEvent, (error) =>
        resolve(!error && performance.now() - startedAt >= atLeastMs),
      );
      started.catch(() => resolve(false));
      return {
        ended: promise.finally(connectionFree),
        stop() {
          resolve(false);
          started.then((controller) => controller.abort()).catch(() => undefined);
        },
      };
    },
    renew() {
      const old = dispatcher;
      if (!old) return;
      dispatcher = undefined;
      retired.add(old);
      old
        .close()
        .catch(() => undefined)
        .finally(() => retired.delete(old));
    },
    async close() {
      closing.abort();
      await Promise.all([dispatcher, ...retired].map((one) => one?.destroy()));
    },
  };
}

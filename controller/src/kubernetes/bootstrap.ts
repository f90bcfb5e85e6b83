// The GPU verification on a member: one Job and one Service, applied directly because they live for minutes (kubernetes.md 3.5,
// graval.md 4.3). Starting waits for the pod, stopping until it is gone, so that the GPUs are free afterwards.

import type { V1Pod } from '@kubernetes/client-node';
import { bootstrapNames, bootstrapSelector, type RenderBootstrap } from '../domain/bootstrap.ts';
import type { Clock } from '../domain/clock.ts';
import { MinerError } from '../domain/errors.ts';
import type { BootstrapRequest } from '../domain/ports.ts';
import { type Connection, hasStatus, unlessMissing } from './connection.ts';
import { pace } from './pace.ts';

const goneWithinMs = 120_000;

export interface BootstrapContext {
  connection: Connection;
  namespace: string;
  clock: Clock;
}

export interface StartContext extends BootstrapContext {
  render: RenderBootstrap;
}

const podSelector = (member: string) =>
  Object.entries(bootstrapSelector(member))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

function isReady(pod: V1Pod): boolean {
  return (
    pod.status?.phase === 'Running' &&
    pod.metadata?.deletionTimestamp === undefined &&
    (pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false)
  );
}

function stateOf(pod: V1Pod | undefined): string {
  if (!pod) return 'no pod was created';
  const { phase = 'Pending', containerStatuses = [] } = pod.status ?? {};
  const waiting = containerStatuses.find(({ state }) => state?.waiting)?.state?.waiting?.reason;
  // The bootstrap says why it ended, and a container that is started again keeps it.
  const said = containerStatuses.map(({ state, lastState }) => (state?.terminated ?? lastState?.terminated)?.message);
  const why = said
    .find((message) => message)
    ?.trim()
    .slice(0, 500);
  return `pod ${pod.metadata?.name ?? ''} is ${phase}${waiting ? ` (${waiting})` : ''}${why ? `: ${why}` : ''}`;
}

async function podsOf({ connection, namespace }: BootstrapContext): Promise<V1Pod[]> {
  const labelSelector = podSelector(connection.member);
  const list = await connection.call('list the verification pods', () =>
    connection.core.listNamespacedPod({ namespace, labelSelector }),
  );
  return list.items;
}

/** A chute that still runs holds GPUs which the verification needs. */
async function demandIdle({ connection, namespace }: BootstrapContext): Promise<void> {
  const jobs = await connection.call('list chute Jobs', () =>
    connection.batch.listNamespacedJob({ namespace, labelSelector: 'chutes/chute=true' }),
  );
  const finished = new Set(['Complete', 'Failed']);
  const running = jobs.items.filter(
    ({ status }) => !status?.conditions?.some(({ type, status }) => finished.has(type) && status === 'True'),
  );
  if (running.length === 0) return;
  const names = running.map(({ metadata }) => metadata?.name ?? '');
  const { member } = connection;
  throw new MinerError('E-IN-USE', `GPUs of ${member} are in use by ${names.join(', ')}`, {
    detail: { member, jobs: names },
  });
}

/** True when the cluster did not answer or is in trouble itself: worth another try. */
function isPassing(error: unknown): boolean {
  const status = error instanceof MinerError && error.code === 'E-CLUSTER' ? error.detail?.status : undefined;
  return typeof status === 'number' && (status === 0 || status >= 500);
}

interface Poll {
  clock: Clock;
  limitMs: number;
  signal?: AbortSignal;
  /** True when there is nothing left to wait for. A cluster that is away for a moment is asked again. */
  done(): Promise<boolean>;
}

/** False when the limit is over or the signal aborted. */
async function poll({ clock, limitMs, signal, done }: Poll): Promise<boolean> {
  const deadline = clock.now() + limitMs;
  while (!signal?.aborted) {
    try {
      if (await done()) return true;
    } catch (error) {
      if (!isPassing(error) || clock.now() >= deadline) throw error;
    }
    if (clock.now() >= deadline) return false;
    await pace(clock, 1_000, 20, signal);
  }
  return false;
}

async function waitReady(context: BootstrapContext, seconds: number, signal: AbortSignal): Promise<void> {
  const { connection, namespace, clock } = context;
  const { member, batch } = connection;
  const name = bootstrapNames(member).job;
  const failed = (why: string) =>
    new MinerError('E-VERIFICATION', `GPU verification of ${member} ${why}`, { detail: { member } });
  let last = stateOf(undefined);
  async function done(): Promise<boolean> {
    const pods = await podsOf(context);
    if (pods.some(isReady)) return true;
    last = stateOf(pods[0]);
    if (pods[0]?.status?.phase === 'Failed') throw failed(`failed: ${last}`);
    const read = connection.call(`read Job ${name}`, () => batch.readNamespacedJob({ namespace, name }));
    const job = await unlessMissing(read);
    const failure = job?.status?.conditions?.find(({ type, status }) => type === 'Failed' && status === 'True');
    if (!job || failure) throw failed(`failed: ${failure?.reason ?? 'its Job was deleted'}`);
    return false;
  }
  if (await poll({ clock, limitMs: seconds * 1000, signal, done })) return;
  throw failed(signal.aborted ? 'was cancelled' : `was not ready within ${seconds} s: ${last}`);
}

/** Missing objects count as deleted. Rejects with E-CLUSTER when pods are still there after 120 s. */
export async function stopBootstrap(context: BootstrapContext): Promise<void> {
  const { connection, namespace, clock } = context;
  const { core, batch, member } = connection;
  const { job, service } = bootstrapNames(member);
  await unlessMissing(
    connection.call(`delete Service ${service}`, () => core.deleteNamespacedService({ namespace, name: service })),
  );
  await unlessMissing(
    connection.call(`delete Job ${job}`, () =>
      batch.deleteNamespacedJob({ namespace, name: job, propagationPolicy: 'Foreground' }),
    ),
  );
  let left = job;
  async function done(): Promise<boolean> {
    const [pod] = await podsOf(context);
    left = pod?.metadata?.name ?? job;
    if (pod) return false;
    // The name stays taken until a Job that is deleted in the foreground is gone itself.
    const read = connection.call(`read Job ${job}`, () => batch.readNamespacedJob({ namespace, name: job }));
    return (await unlessMissing(read)) === undefined;
  }
  if (await poll({ clock, limitMs: goneWithinMs, done })) return;
  throw new MinerError('E-CLUSTER', `${left} on ${member} is still there ${goneWithinMs / 1000} s after its deletion`, {
    detail: { member, reason: 'Timeout' },
  });
}

/**
 * Create Service and Job and wait until the pod is ready; leftovers of an earlier try are removed first. Rejects with E-IN-USE (chutes
 * run there, or the node port is taken), E-VERIFICATION (failed, cancelled, not ready in time) or E-CLUSTER; then nothing is left.
 */
export async function startBootstrap(
  context: StartContext,
  request: BootstrapRequest,
  signal: AbortSignal,
): Promise<{ nodePort: number }> {
  const { connection, namespace } = context;
  const { core, batch, member } = connection;
  await stopBootstrap(context);
  await demandIdle(context);
  const { service, job } = context.render(member, request, namespace);
  try {
    await connection.call('create the verification Service', () =>
      core.createNamespacedService({ namespace, body: service }),
    );
    await connection.call('create the verification Job', () => batch.createNamespacedJob({ namespace, body: job }));
    await waitReady(context, request.timeoutSeconds, signal);
  } catch (error) {
    // What went wrong first is what the operator has to know; the next start removes what could not be removed now.
    await stopBootstrap(context).catch(() => undefined);
    if (!hasStatus(error, 422) || !/allocated|nodePort/.test(String(error))) throw error;
    throw new MinerError('E-IN-USE', `node port ${request.nodePort} of ${member} is taken`, {
      detail: { member },
      cause: error,
    });
  }
  return { nodePort: request.nodePort };
}

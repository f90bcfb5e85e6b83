// The GPU verification on a member: one Job and one Service, applied directly because they live for minutes (kubernetes.md 3.5,
// graval.md 4.3). Starting waits for the pod, stopping until it is gone, so that the GPUs are free afterwards.

import { createHash } from 'node:crypto';
import type { V1Job, V1Pod, V1Service } from '@kubernetes/client-node';
import type { Clock } from '../domain/clock.ts';
import { MinerError } from '../domain/errors.ts';
import type { BootstrapRequest } from '../domain/ports.ts';
import { type Connection, hasStatus, unlessMissing } from './connection.ts';
import { pace } from './pace.ts';

const port = 8000;
const goneWithinMs = 120_000;

export interface BootstrapContext {
  connection: Connection;
  namespace: string;
  clock: Clock;
}

/** Names hold at most 63 characters; a long server name is cut and told apart by a hash (kubernetes.md R27). */
export function bootstrapNames(member: string): { job: string; service: string } {
  const dashed = member.replaceAll('.', '-');
  const hash = createHash('sha256').update(member).digest('hex').slice(0, 8);
  const short = dashed.length <= 52 ? dashed : `${dashed.slice(0, 43)}-${hash}`;
  return { job: `graval-${short}`, service: `graval-svc-${short}` };
}

const selectorLabels = (member: string) => ({ app: 'graval', 'graval-node': member });
const podSelector = (member: string) => `app=graval,graval-node=${member}`;

function bootstrapService(namespace: string, member: string, nodePort: number): V1Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: bootstrapNames(member).service, namespace, labels: selectorLabels(member) },
    spec: {
      type: 'NodePort',
      selector: selectorLabels(member),
      ports: [{ name: 'graval', port, targetPort: port, protocol: 'TCP', nodePort }],
    },
  };
}

/** All GPUs are asked for as a resource: while it runs, nothing else gets one. It never sees a seed (kubernetes.md R1). */
function bootstrapJob(namespace: string, member: string, request: BootstrapRequest): V1Job {
  const labels = { ...selectorLabels(member), 'chute/chute': 'false', 'node-bootstrap': 'true' };
  const amounts = {
    cpu: String(request.cpuPerGpu * request.gpuCount),
    memory: `${request.memoryPerGpu * request.gpuCount}Gi`,
    'nvidia.com/gpu': String(request.gpuCount),
  };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: bootstrapNames(member).job, namespace, labels },
    spec: {
      parallelism: 1,
      completions: 1,
      backoffLimit: 3,
      ttlSecondsAfterFinished: 300,
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: 'OnFailure',
          nodeName: member,
          runtimeClassName: 'nvidia',
          automountServiceAccountToken: false,
          containers: [
            {
              name: 'graval',
              image: request.image,
              imagePullPolicy: request.image.includes('@sha256:') ? 'IfNotPresent' : 'Always',
              env: [
                { name: 'VALIDATOR_WHITELIST', value: request.validatorHotkey },
                { name: 'MINER_HOTKEY_SS58', value: request.minerHotkey },
              ],
              ports: [{ containerPort: port, protocol: 'TCP' }],
              resources: { requests: amounts, limits: amounts },
              readinessProbe: {
                exec: { command: ['/bin/sh', '-c', `curl -f http://127.0.0.1:${port}/ping || exit 1`] },
                initialDelaySeconds: 15,
                periodSeconds: 10,
                timeoutSeconds: 1,
                failureThreshold: 3,
              },
            },
          ],
        },
      },
    },
  };
}

function isReady(pod: V1Pod): boolean {
  return (
    pod.status?.phase === 'Running' &&
    pod.metadata?.deletionTimestamp === undefined &&
    (pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false)
  );
}

function stateOf(pod: V1Pod | undefined): string {
  if (!pod) return 'no pod was created';
  const waiting = pod.status?.containerStatuses?.find(({ state }) => state?.waiting)?.state?.waiting?.reason;
  return `pod ${pod.metadata?.name ?? ''} is ${pod.status?.phase ?? 'Pending'}${waiting ? ` (${waiting})` : ''}`;
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
  context: BootstrapContext,
  request: BootstrapRequest,
  signal: AbortSignal,
): Promise<{ nodePort: number }> {
  const { connection, namespace } = context;
  const { core, batch, member } = connection;
  await stopBootstrap(context);
  await demandIdle(context);
  const service = bootstrapService(namespace, member, request.nodePort);
  const job = bootstrapJob(namespace, member, request);
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

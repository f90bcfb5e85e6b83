// Jobs, pods and volume claims as clusters have them, with the health that Argo CD is to show.

import { parse } from '../parsed.ts';

export type HealthCase = [what: string, object: object, status: string, message: string];

const minutesAgo = (minutes: number) => `${new Date(Date.now() - minutes * 60_000).toISOString().slice(0, 19)}Z`;
const { labels, annotations } = parse().job.metadata;
const why = `; chutes-miner why ${labels['chutes/deployment-id']}`;

export const chute = (
  status: Record<string, unknown>,
  spec: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
) => ({
  metadata: { labels, annotations: annotations ?? {}, ...more },
  spec,
  status,
});
const plain = (status: Record<string, unknown>, ofLabels = {}, spec = {}) => ({
  metadata: { labels: ofLabels },
  spec,
  status,
});
const condition = (type: string, more = {}) => [{ type, status: 'True', ...more }];
const graval = { app: 'graval', 'graval-node': 'gpu-07' };
const started = minutesAgo(5);
export const late = minutesAgo(21);
const deadline = { reason: 'BackoffLimitExceeded', message: 'Job has reached the specified backoff limit' };

/** What Argo CD is to say of a Job. */
export const jobs: HealthCase[] = [
  ['one without a status', chute({}), 'Progressing', `launching: no pod yet${why}`],
  [
    'one whose pod is not ready',
    chute({ active: 1, ready: 0, startTime: started }),
    'Progressing',
    `launching: its pod is not ready yet${why}`,
  ],
  [
    'one whose pod is ready',
    chute({ active: 1, ready: 1, startTime: late }),
    'Healthy',
    `active: its pod is ready; deployed for scale-up${why}`,
  ],
  [
    'one not ready for too long',
    chute({ active: 1, startTime: late }),
    'Degraded',
    `not ready 20 minutes after its start at ${late}; its pod tells why${why}`,
  ],
  [
    'one without a pod for too long',
    chute({}, {}, { creationTimestamp: late }),
    'Degraded',
    `not ready 20 minutes after its start at ${late}; its pod tells why${why}`,
  ],
  [
    'one that failed',
    chute({ failed: 1, conditions: condition('Failed', deadline), startTime: started }),
    'Degraded',
    `failed: BackoffLimitExceeded: Job has reached the specified backoff limit${why}`,
  ],
  ['one that fails', chute({ conditions: condition('FailureTarget') }), 'Degraded', `failed: no reason given${why}`],
  [
    'one whose pod failed a moment ago',
    chute({ failed: 1, startTime: started }),
    'Degraded',
    `failed: its pod failed${why}`,
  ],
  [
    'one suspended',
    chute({ conditions: condition('Suspended') }, { suspend: true }),
    'Suspended',
    `suspended by hand: it has no pod${why}`,
  ],
  ['one that ended', chute({ succeeded: 1, conditions: condition('Complete') }), 'Healthy', `ended by itself${why}`],
  [
    'one with a condition that is not true',
    chute({ ready: 1, conditions: [{ type: 'Failed', status: 'False' }] }),
    'Healthy',
    `active: its pod is ready; deployed for scale-up${why}`,
  ],
  [
    'a verification that starts',
    plain({ active: 1, startTime: started }, graval),
    'Progressing',
    'the verification starts',
  ],
  ['a verification that answers', plain({ active: 1, ready: 1 }, graval), 'Healthy', 'ready to prove its GPUs'],
  [
    'a verification that failed',
    plain({ conditions: condition('Failed', deadline) }, graval),
    'Degraded',
    `failed: ${deadline.reason}: ${deadline.message}`,
  ],
  [
    'a verification that ended',
    plain({ conditions: condition('Complete') }, graval),
    'Healthy',
    'the verification ended',
  ],
  ['a Job of a CronJob that runs long', plain({ active: 1, startTime: late }), 'Progressing', 'running'],
  ['a Job of a CronJob that ended', plain({ conditions: condition('Complete') }), 'Healthy', 'complete'],
  ['a Job without labels', { metadata: {} }, 'Progressing', 'running'],
];

const waiting = (reason: string, message?: string) => ({
  name: 'chute',
  state: { waiting: { reason, ...(message && { message }) } },
});
/** And of a pod. */
export const pods: HealthCase[] = [
  ['one just made', {}, 'Progressing', 'launching'],
  [
    'one that no node takes',
    { status: { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', message: '0/1 nodes' }] } },
    'Progressing',
    'no node takes it: 0/1 nodes',
  ],
  [
    'one whose image is refused',
    { status: { phase: 'Pending', containerStatuses: [waiting('ImagePullBackOff', 'Back-off pulling "x"')] } },
    'Degraded',
    'image cannot be pulled (chute, ImagePullBackOff): Back-off pulling "x"',
  ],
  [
    'one whose token is not there yet',
    {
      status: {
        phase: 'Pending',
        containerStatuses: [waiting('CreateContainerConfigError', 'secret "launch-1" not found')],
      },
    },
    'Degraded',
    'container cannot be made (chute, CreateContainerConfigError): secret "launch-1" not found',
  ],
  [
    'one that is made',
    { status: { phase: 'Pending', containerStatuses: [waiting('ContainerCreating')] } },
    'Progressing',
    'launching',
  ],
  ['one that runs', { status: { phase: 'Running' } }, 'Progressing', 'launching: not ready yet'],
  ['one that is ready', { status: { phase: 'Running', conditions: condition('Ready') } }, 'Healthy', 'active'],
  [
    'one whose container failed',
    {
      status: {
        phase: 'Failed',
        initContainerStatuses: [{ name: 'cache-init', state: { terminated: { exitCode: 0 } } }],
        containerStatuses: [{ name: 'chute', state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }],
      },
    },
    'Degraded',
    'failed: chute ended with exit code 137 (OOMKilled)',
  ],
  [
    'one that was evicted',
    { status: { phase: 'Failed', reason: 'Evicted', message: 'disk' } },
    'Degraded',
    'failed: Evicted: disk',
  ],
  ['one that ended', { status: { phase: 'Succeeded' } }, 'Healthy', 'ended by itself'],
];

/** And of a volume claim. */
export const claims: HealthCase[] = [
  ['one just made', {}, 'Healthy', 'gets its volume with its first pod'],
  [
    'one that waits for its first pod',
    { status: { phase: 'Pending' } },
    'Healthy',
    'gets its volume with its first pod',
  ],
  ['one with its volume', { status: { phase: 'Bound' } }, 'Healthy', 'bound'],
  ['one that lost its volume', { status: { phase: 'Lost' } }, 'Degraded', 'its volume is gone'],
];

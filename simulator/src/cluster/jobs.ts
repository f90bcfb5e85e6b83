// The Job controller of one member: one pod per Job, the Job's verdict from the pod's, deletion with its pods, removal after the TTL.

import type { Clock } from '@miner/controller/domain/clock.ts';
import { jobSpec } from './admission.ts';
import { createDeadlines } from './deadlines.ts';
import { type KubeObject, kubeTime } from './kube.ts';
import { deletionDeadline, type Member } from './member.ts';
import { isFinished } from './room.ts';
import type { Change } from './store.ts';

export interface JobController {
  handle(change: Change): void;
  /** Look at every Job again, after a start. */
  start(): void;
  stop(): void;
}

interface JobStatus {
  startTime?: string;
  active?: number;
  ready?: number;
  failed?: number;
  succeeded?: number;
  completionTime?: string;
  conditions?: { type: string; status: string; reason?: string; message?: string; lastTransitionTime: string }[];
}

const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

function phaseOf(pod: KubeObject): string {
  return (pod.status as { phase?: string } | undefined)?.phase ?? 'Pending';
}

function isReady(pod: KubeObject): boolean {
  const { conditions = [] } = (pod.status ?? {}) as { conditions?: { type: string; status: string }[] };
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}

export interface JobControllerOptions {
  clock: Clock;
  random: () => number;
  onError: (error: unknown) => void;
}

export function createJobController(member: Member, options: JobControllerOptions): JobController {
  const { clock, random } = options;
  const { store } = member;
  const deadlines = createDeadlines(clock, (_, error) => options.onError(error));

  function podsOf(job: KubeObject): KubeObject[] {
    return store.list(
      'pods',
      ({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid) ?? false,
    );
  }

  function createPod(job: KubeObject): void {
    const { template } = jobSpec.parse(job.spec);
    const suffix = Array.from({ length: 5 }, () => alphabet[Math.floor(random() * alphabet.length)] ?? 'x').join('');
    const { name, uid } = job.metadata;
    const owner = { apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true, blockOwnerDeletion: true };
    member.create('pods', {
      metadata: { ...template.metadata, name: `${name}-${suffix}`, ownerReferences: [owner] },
      spec: { nodeName: member.server.name, ...template.spec },
      status: { phase: 'Pending' },
    });
  }

  function finish(job: KubeObject, status: JobStatus, type: 'Failed' | 'Complete'): JobStatus {
    const lastTransitionTime = kubeTime(clock.now());
    const why =
      type === 'Failed'
        ? { reason: 'BackoffLimitExceeded', message: 'Job has reached the specified backoff limit' }
        : { reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' };
    const completion = type === 'Complete' ? { completionTime: lastTransitionTime } : {};
    expire(job, clock.now());
    return { ...status, ...completion, conditions: [{ type, status: 'True', ...why, lastTransitionTime }] };
  }

  function expire(job: KubeObject, finishedAt: number): void {
    const { ttlSecondsAfterFinished } = jobSpec.parse(job.spec);
    const { name, uid } = job.metadata;
    if (ttlSecondsAfterFinished === undefined) return;
    deadlines.set(uid, finishedAt + ttlSecondsAfterFinished * 1000, () => {
      if (store.get('jobs', name)?.metadata.uid === uid)
        member.remove('jobs', name, { propagationPolicy: 'Foreground' });
    });
  }

  /** Work towards what the Job says. Safe to repeat. */
  function sync(name: string): void {
    const job = store.get('jobs', name);
    if (!job) return;
    const pods = podsOf(job);
    if (deletionDeadline(job) !== undefined) {
      if (pods.length === 0) store.remove('jobs', name);
      for (const pod of pods) if (deletionDeadline(pod) === undefined) member.remove('pods', pod.metadata.name);
      return;
    }
    const status = (job.status ?? {}) as JobStatus;
    const finished = status.conditions?.[0];
    const spec = jobSpec.parse(job.spec);
    if (finished) expire(job, Date.parse(finished.lastTransitionTime));
    else if (!spec.suspend) runPod(job, status, pods);
  }

  /** One write at a time: each is followed by another look at the Job. */
  function runPod(job: KubeObject, status: JobStatus, pods: readonly KubeObject[]): void {
    const { name } = job.metadata;
    const active = pods.filter((pod) => !isFinished(pod) && deletionDeadline(pod) === undefined);
    const { active: hadActive, ready: _, ...rest } = status;
    const started: JobStatus = { ...rest, startTime: status.startTime ?? kubeTime(clock.now()) };
    // A pod that was deleted from under its Job counts as failed, like one that ended badly.
    const lost = hadActive === 1 && active.length === 0;
    const failed = (status.failed ?? 0) + (lost ? 1 : 0);
    const failures = failed > 0 ? { failed } : {};
    if (pods.some((pod) => phaseOf(pod) === 'Succeeded')) {
      member.setStatus('jobs', name, finish(job, { ...started, succeeded: 1 }, 'Complete'));
    } else if (failed > jobSpec.parse(job.spec).backoffLimit) {
      member.setStatus('jobs', name, finish(job, { ...started, failed }, 'Failed'));
    } else if (active.length > 0) {
      member.setStatus('jobs', name, { ...started, ...failures, active: 1, ready: active.filter(isReady).length });
    } else if (lost) {
      member.setStatus('jobs', name, { ...started, ...failures });
    } else {
      createPod(job);
    }
  }

  return {
    handle({ type, resource, object }) {
      if (resource === 'jobs') {
        if (type !== 'DELETED') return sync(object.metadata.name);
        deadlines.cancel(object.metadata.uid);
        for (const pod of podsOf(object))
          if (deletionDeadline(pod) === undefined) member.remove('pods', pod.metadata.name);
      }
      if (resource === 'pods') {
        for (const { kind, name } of object.metadata.ownerReferences ?? []) if (kind === 'Job') sync(name);
      }
    },
    start() {
      for (const job of store.list('jobs')) sync(job.metadata.name);
    },
    stop: () => deadlines.cancelAll(),
  };
}

// A pod's status as the kubelet reports it, built from what happened to its main container.

import { type KubeObject, kubeTime } from './kube.ts';
import { type Container, readPodSpec } from './podspec.ts';

/** Times in ms. */
export type ContainerState =
  | { state: 'waiting'; reason: string; message?: string | undefined }
  | { state: 'running'; startedAt: number; ready: boolean }
  | {
      state: 'terminated';
      startedAt: number;
      finishedAt: number;
      exitCode: number;
      reason: string;
      message?: string | undefined;
    };

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

interface Condition {
  type: string;
  status: 'True' | 'False';
  lastTransitionTime: string;
  reason?: string;
}

function phaseOf(main: ContainerState): Phase {
  if (main.state === 'waiting') return 'Pending';
  if (main.state === 'running') return 'Running';
  return main.exitCode === 0 ? 'Succeeded' : 'Failed';
}

function kubeState(main: ContainerState): unknown {
  const { state, ...fields } = main;
  const message = 'message' in fields && fields.message ? { message: fields.message } : {};
  if (main.state === 'waiting') return { waiting: { reason: main.reason, ...message } };
  if (main.state === 'running') return { running: { startedAt: kubeTime(main.startedAt) } };
  const { exitCode, reason, startedAt, finishedAt } = main;
  const times = { startedAt: kubeTime(startedAt), finishedAt: kubeTime(finishedAt) };
  return { [state]: { exitCode, reason, ...message, ...times } };
}

/** A pod that the kubelet turned away, for example for want of CPU. */
export function rejectedStatus(reason: string, message: string, now: number): unknown {
  return { phase: 'Failed', reason, message, startTime: kubeTime(now) };
}

/** Status of the pod with its main container in `main`; conditions keep the time of their last change. */
export function podStatus(pod: KubeObject, main: ContainerState, hostIp: string, now: number): unknown {
  const spec = readPodSpec(pod);
  const before = (pod.status ?? {}) as { conditions?: Condition[]; startTime?: string; podIP?: string };
  const ready = main.state === 'running' && main.ready;
  const begun = main.state !== 'waiting';
  const wanted: [type: string, isTrue: boolean][] = [
    ['PodScheduled', true],
    ['PodReadyToStartContainers', true],
    ['Initialized', begun || spec.initContainers.length === 0],
    ['ContainersReady', ready],
    ['Ready', ready],
  ];
  const conditions = wanted.map(([type, isTrue]): Condition => {
    const status = isTrue ? 'True' : 'False';
    const old = before.conditions?.find((condition) => condition.type === type);
    const lastTransitionTime = old?.status === status ? old.lastTransitionTime : kubeTime(now);
    return isTrue || type === 'Initialized'
      ? { type, status, lastTransitionTime }
      : { type, status, lastTransitionTime, reason: main.state === 'terminated' ? 'PodFailed' : 'ContainersNotReady' };
  });
  const container = ({ name, image }: Container, state: unknown, isReady: boolean) => ({
    name,
    image,
    imageID: begun ? `sim://${image}` : '',
    ready: isReady,
    started: main.state === 'running',
    restartCount: 0,
    state,
  });
  const done = { terminated: { exitCode: 0, reason: 'Completed' } };
  return {
    phase: phaseOf(main),
    conditions,
    hostIP: hostIp,
    podIP: before.podIP ?? '10.42.0.10',
    startTime: before.startTime ?? kubeTime(now),
    initContainerStatuses: spec.initContainers.map((init) =>
      container(init, begun ? done : { waiting: { reason: 'PodInitializing' } }, begun),
    ),
    containerStatuses: spec.containers.map((each) => container(each, kubeState(main), ready)),
    qosClass: 'Guaranteed',
  };
}

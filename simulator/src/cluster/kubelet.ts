// The kubelet of one member: takes pods in, brings their containers up step by step, lets them go. Everything it waits for is a
// deadline on the clock or a change of an object.

import type { Clock } from '@miner/controller/domain/clock.ts';
import { createDeadlines } from './deadlines.ts';
import type { KubeObject } from './kube.ts';
import { firstStage, type Launch, launchSteps, type Outcome } from './launch.ts';
import { type ModelSize, pullSeconds } from './launch-times.ts';
import { deletionDeadline, type Member } from './member.ts';
import { environmentOf, mainContainer, missingVolume, readPodSpec } from './podspec.ts';
import { podStatus, rejectedStatus } from './podstatus.ts';
import type { LaunchStep, Ledger, PodRecord, Stage } from './record.ts';
import { isFinished, shortage } from './room.ts';
import type { Change } from './store.ts';

export interface KubeletOptions {
  clock: Clock;
  random: () => number;
  ledger: Ledger;
  sizeOf: (chuteId: string) => ModelSize;
  /** Rules a pod is held to when it appears. */
  inspect: (pod: KubeObject) => void;
  /** Told when a container started, got ready or ended. */
  onContainer: () => void;
  onChange: () => void;
  onError: (error: unknown) => void;
  saved?: PodRecord[] | undefined;
}

export interface Kubelet {
  handle(change: Change): void;
  record(podName: string): PodRecord | undefined;
  /** Take up all pods: after a start with saved records, or after the machine came back (`rebooted`). */
  start(rebooted: boolean): void;
  /** Begin nothing new; resolves when calls on their way have been answered and taken in. */
  quiesce(): Promise<void>;
  /** The machine lost power: nothing happens any more. */
  stop(): void;
  snapshot(): PodRecord[];
}

const startSeconds = 5;
const maxShutdownSeconds = 20;

function label(pod: KubeObject, key: string): string {
  return pod.metadata.labels?.[key] ?? '';
}

export function createKubelet(member: Member, options: KubeletOptions): Kubelet {
  const { clock, ledger, random } = options;
  const { server, store } = member;
  const records = new Map((options.saved ?? []).map((record) => [record.name, record]));
  const deadlines = createDeadlines(clock, (_, error) => options.onError(error));
  const calls = new Set<Promise<void>>();
  let power = new AbortController();
  let quiet = false;

  function show(record: PodRecord): void {
    const pod = store.get('pods', record.name);
    if (pod) member.setStatus('pods', record.name, podStatus(pod, record.container, server.ip, clock.now()));
    options.onChange();
  }

  function enter(record: PodRecord, stage: Stage, seconds: number | null): void {
    record.stage = stage;
    record.due = seconds === null ? null : clock.now() + seconds * 1000;
    schedule(record);
    options.onChange();
  }

  function schedule(record: PodRecord): void {
    const { due, failAt } = record;
    if (quiet) return;
    if (failAt !== undefined && failAt <= (due ?? failAt)) {
      deadlines.set(record.name, failAt, () => end(record, 1, 'CUDA error: out of memory'));
    } else if (due !== null) deadlines.set(record.name, due, () => track(advance(record)));
    else deadlines.cancel(record.name);
  }

  async function track(call: Promise<void>): Promise<void> {
    calls.add(call);
    await call.finally(() => calls.delete(call));
  }

  function end(record: PodRecord, exitCode: number, message: string): void {
    const now = clock.now();
    const startedAt = record.container.state === 'running' ? record.container.startedAt : now;
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    record.log.push(message);
    record.container = { state: 'terminated', startedAt, finishedAt: now, exitCode, reason, message };
    record.failAt = undefined;
    enter(record, 'ended', null);
    show(record);
    options.onContainer();
  }

  function launchOf(record: PodRecord, pod: KubeObject): Launch {
    const deploymentId = label(pod, 'chutes/deployment-id');
    const others = store.list('pods', (other) => other !== pod && !isFinished(other));
    return {
      member,
      record,
      clock,
      size: options.sizeOf(label(pod, 'chutes/chute-id')),
      modelsInUse: new Set(others.map((other) => options.sizeOf(label(other, 'chutes/chute-id')).modelKey)),
      signal: power.signal,
      mark: (step: LaunchStep) => ledger.mark(deploymentId, server.name, step),
    };
  }

  function startContainer(record: PodRecord, pod: KubeObject): Outcome {
    const { values, missing } = environmentOf(mainContainer(readPodSpec(pod)), store);
    if (missing) {
      record.container = { state: 'waiting', reason: 'CreateContainerConfigError', message: missing };
      show(record);
      return { next: 'config', seconds: Number.POSITIVE_INFINITY };
    }
    record.env = values;
    record.container = { state: 'running', startedAt: clock.now(), ready: false };
    record.log.push('started');
    show(record);
    options.onContainer();
    if (label(pod, 'chutes/chute') !== 'true') return { next: 'settle', seconds: 15 };
    launchOf(record, pod).mark('startedAt');
    const failure = ledger.takeFailure({
      chuteId: label(pod, 'chutes/chute-id'),
      version: label(pod, 'chutes/version'),
      server: server.name,
      gpuShortRef: server.gpuShortRef,
    });
    if (failure !== undefined) record.failAt = clock.now() + failure * 1000;
    return firstStage(values, launchOf(record, pod));
  }

  function pull(record: PodRecord, pod: KubeObject): Outcome {
    const { image } = mainContainer(readPodSpec(pod));
    if (!member.cache.images.includes(image)) member.cache.images.push(image);
    if (label(pod, 'chutes/deployment-id')) launchOf(record, pod).mark('pulledAt');
    return { next: 'config', seconds: 0 };
  }

  function mountVolumes(record: PodRecord, pod: KubeObject): Outcome {
    const spec = readPodSpec(pod);
    const missing = missingVolume(spec, store);
    if (missing) {
      record.container = { state: 'waiting', reason: 'ContainerCreating', message: `configmap "${missing}" not found` };
      show(record);
      return { next: 'volumes', seconds: Number.POSITIVE_INFINITY };
    }
    const size = options.sizeOf(label(pod, 'chutes/chute-id'));
    return { next: 'pull', seconds: startSeconds + pullSeconds(server, member.cache, mainContainer(spec).image, size) };
  }

  const ownSteps: Partial<Record<Stage, (record: PodRecord, pod: KubeObject) => Outcome>> = {
    volumes: mountVolumes,
    pull,
    config: startContainer,
  };

  function ready(record: PodRecord): void {
    if (record.container.state === 'running') record.container = { ...record.container, ready: true };
    record.failAt = undefined;
    record.log.push('ready');
    enter(record, 'running', null);
    show(record);
    options.onContainer();
  }

  async function advance(record: PodRecord): Promise<void> {
    const pod = store.get('pods', record.name);
    if (!pod || records.get(record.name) !== record) return;
    const { stage } = record;
    if (stage === 'terminating') return forget(record);
    const { signal } = power;
    const launchStep = launchSteps[stage];
    const ownStep = ownSteps[stage];
    const outcome: Outcome = launchStep
      ? await launchStep(launchOf(record, pod))
      : (ownStep?.(record, pod) ?? { next: 'running', seconds: 0 });
    // While a call was on its way the pod may have been deleted, or the machine have lost power.
    if (signal.aborted || record.stage !== stage || records.get(record.name) !== record) return;
    if ('exit' in outcome) return end(record, 1, outcome.exit);
    if (outcome.next === 'running') return ready(record);
    enter(record, outcome.next, Number.isFinite(outcome.seconds) ? outcome.seconds : null);
  }

  function forget(record: PodRecord): void {
    records.delete(record.name);
    deadlines.cancel(record.name);
    if (store.get('pods', record.name)) store.remove('pods', record.name);
    options.onContainer();
    options.onChange();
  }

  function terminate(record: PodRecord, pod: KubeObject): void {
    const grace = Math.max(0, ((deletionDeadline(pod) ?? 0) - clock.now()) / 1000);
    const wish = record.container.state === 'running' ? 3 + random() * (maxShutdownSeconds - 3) : 1;
    record.failAt = undefined;
    enter(record, 'terminating', Math.min(grace, wish));
  }

  function take(pod: KubeObject): void {
    const { name, uid } = pod.metadata;
    const { nodeName } = readPodSpec(pod);
    if (nodeName !== undefined && nodeName !== server.name) return;
    const record: PodRecord = {
      name,
      uid,
      stage: 'volumes',
      due: null,
      container: { state: 'waiting', reason: 'ContainerCreating' },
      env: {},
      attempts: 0,
      failAt: undefined,
      claimReply: undefined,
      activationUrl: undefined,
      log: [],
    };
    records.set(name, record);
    options.inspect(pod);
    const lack = shortage(member, pod);
    if (lack) {
      record.stage = 'ended';
      member.setStatus(
        'pods',
        name,
        rejectedStatus(`OutOf${lack}`, `Node didn't have enough resource: ${lack}`, clock.now()),
      );
      return;
    }
    show(record);
    enter(record, 'volumes', 0);
  }

  return {
    handle({ type, resource, object }) {
      if (resource === 'secrets' || resource === 'configmaps') {
        const waiting = [...records.values()].filter(
          ({ stage, due }) => due === null && (stage === 'config' || stage === 'volumes'),
        );
        for (const record of waiting) enter(record, record.stage, 1);
      }
      if (resource !== 'pods') return;
      const record = records.get(object.metadata.name);
      if (type === 'ADDED') take(object);
      else if (type === 'DELETED' && record) forget(record);
      else if (type === 'MODIFIED' && deletionDeadline(object) !== undefined) {
        if (!record) store.remove('pods', object.metadata.name);
        else if (record.stage !== 'terminating') terminate(record, object);
      }
    },
    record: (podName) => records.get(podName),
    start(rebooted) {
      power = new AbortController();
      quiet = false;
      for (const record of [...records.values()]) {
        if (!rebooted) schedule(record);
        else if (record.stage === 'terminating') forget(record);
        else if (record.container.state === 'running') end(record, 137, 'the machine lost power');
        else if (record.stage !== 'ended') enter(record, 'volumes', 0);
      }
    },
    async quiesce() {
      quiet = true;
      deadlines.cancelAll();
      await Promise.allSettled(calls);
    },
    stop() {
      power.abort();
      deadlines.cancelAll();
    },
    snapshot: () => [...records.values()],
  };
}

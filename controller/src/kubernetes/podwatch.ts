// Follows the chute pods of one member: list, watch from there, list again when the watch ends, which is soon, and when a pod went. Only a
// complete list takes a pod away; failures leave what is known.

import { z } from 'zod';
import type { Clock } from '../domain/clock.ts';
import type { ObservedPod } from '../domain/deployment.ts';
import { messageOf } from '../domain/errors.ts';
import { watchSeconds } from '../domain/watchtime.ts';
import type { Connection } from './connection.ts';
import { pace } from './pace.ts';
import { chuteSelector, parsePod } from './pods.ts';

const relistMs = 30_000;
const firstDelayMs = 500;
const lastDelayMs = 10_000;

export interface BadObject {
  member: string;
  name: string;
  problem: string;
}

export interface PodWatchOptions {
  connection: Connection;
  namespace: string;
  clock: Clock;
  random(): number;
  /** Known pods by name; kept up to date in place. */
  pods: Map<string, ObservedPod>;
  onChange(): void;
  /** After each complete list. */
  onSynced(): void;
  onFailure(why: string): void;
  /** A pod that cannot be read; told once for as long as it stays the same. */
  onBadObject(bad: BadObject): void;
}

const named = z.object({ metadata: z.object({ name: z.string() }) });
const errorEvent = z.object({ code: z.number().optional() });

/** Milliseconds before try number `failures`: none before the first, then 0.5 s doubling to 10 s, each shortened by up to half. */
export function retryDelay(failures: number, random: () => number): number {
  if (failures === 0) return 0;
  return Math.min(lastDelayMs, firstDelayMs * 2 ** (failures - 1)) * (1 - random() / 2);
}

/** Runs until `stop`, which resolves when the last step is over. */
export function watchPods(options: PodWatchOptions): { stop(): Promise<void> } {
  const { connection, namespace, clock, random, pods } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  let bad = new Map<string, string>();

  /** Undefined, and reported, when it cannot be read. */
  function read(object: unknown, problems: Map<string, string>): ObservedPod | undefined {
    try {
      return parsePod(connection.member, object);
    } catch (error) {
      const name = named.safeParse(object).data?.metadata.name ?? 'without a name';
      const problem = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
      if (bad.get(name) !== problem) options.onBadObject({ member: connection.member, name, problem });
      problems.set(name, problem);
      return undefined;
    }
  }

  function put(pod: ObservedPod): boolean {
    if (JSON.stringify(pods.get(pod.podName)) === JSON.stringify(pod)) return false;
    pods.set(pod.podName, pod);
    return true;
  }

  /** The version to watch from. */
  async function list(): Promise<string> {
    const answer = await connection.call('list pods', () =>
      connection.core.listNamespacedPod({ namespace, labelSelector: chuteSelector }),
    );
    const problems = new Map<string, string>();
    const found = answer.items.flatMap((item) => read(item, problems) ?? []);
    bad = problems;
    const names = new Set(found.map(({ podName }) => podName));
    let changed = false;
    for (const name of pods.keys()) {
      if (!names.has(name)) changed = pods.delete(name) || changed;
    }
    for (const pod of found) changed = put(pod) || changed;
    options.onSynced();
    if (changed) options.onChange();
    return answer.metadata?.resourceVersion ?? '';
  }

  function apply(type: string, object: unknown): void {
    if (type !== 'ADDED' && type !== 'MODIFIED') return;
    const pod = read(object, bad);
    if (pod && put(pod)) options.onChange();
  }

  /** True when the watch was of use: it lasted until it or the next list was due, told something, or its version was too old (410). */
  async function follow(resourceVersion: string): Promise<boolean> {
    let useful = false;
    const over = new AbortController();
    const watching = connection.watch(
      `/api/v1/namespaces/${namespace}/pods`,
      {
        labelSelector: chuteSelector,
        resourceVersion,
        allowWatchBookmarks: true,
        timeoutSeconds: watchSeconds(random),
      },
      (type, object) => {
        if (over.signal.aborted) return;
        // GPUs are free once a complete list says so: what went is worth one at once.
        useful ||= type !== 'ERROR' || errorEvent.safeParse(object).data?.code === 410;
        if (type === 'ERROR' || type === 'DELETED') watching.stop();
        else apply(type, object);
      },
    );
    const until = AbortSignal.any([signal, over.signal]);
    const due = pace(clock, relistMs, 1_000, until).then(() => true);
    const lasted = await Promise.race([watching.ended, due]);
    over.abort();
    watching.stop();
    return useful || lasted;
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        const version = await list();
        if (signal.aborted) return;
        failures = (await follow(version)) ? 0 : failures + 1;
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        options.onFailure(messageOf(error));
        connection.renew();
      }
      if (failures > 0) await pace(clock, retryDelay(failures, random), 20, signal);
    }
  }

  const running = run();
  return {
    async stop() {
      stopping.abort();
      await connection.close();
      await running;
    },
  };
}

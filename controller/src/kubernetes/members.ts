// All member clusters: what runs on them, whether they can be trusted, and the few things the miner writes there itself.

import type { RenderBootstrap } from '../domain/bootstrap.ts';
import type { Clock } from '../domain/clock.ts';
import type { ObservedPod } from '../domain/deployment.ts';
import { MinerError } from '../domain/errors.ts';
import type { MemberNode, Members } from '../domain/ports.ts';
import { startBootstrap, stopBootstrap } from './bootstrap.ts';
import { type Connection, connect } from './connection.ts';
import { createHealth, type HealthKeeper } from './health.ts';
import { labelNode, readNode } from './nodes.ts';
import { watchNode } from './nodewatch.ts';
import { type BadObject, watchPods } from './podwatch.ts';
import { deleteLaunchSecret, launchSecrets, writeLaunchSecret } from './secrets.ts';

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface MembersOptions {
  /** Where chutes live on every member. Default `chutes`. */
  namespace?: string;
  clock: Clock;
  log: Log;
  renderBootstrap: RenderBootstrap;
  /** Without a complete list for this long (ms of the clock) a member is unhealthy. Default 60 s. */
  staleAfterMs?: number;
  /** A pod with the chute label that cannot be read; it is left out of the observation. Default: a warning. */
  onBadObject?: (bad: BadObject) => void;
  random?: () => number;
}

interface Member {
  kubeconfig: string;
  connection: Connection;
  pods: Map<string, ObservedPod>;
  node(): MemberNode | undefined;
  health: HealthKeeper;
  stop(): Promise<void>;
}

/** Implements `Members` of domain/ports.ts over the Kubernetes API of every member. */
export function openMembers(options: MembersOptions): Members {
  const { namespace = 'chutes', clock, log, staleAfterMs = 60_000, random = Math.random } = options;
  const onBadObject = options.onBadObject ?? ((bad) => log.warn({ ...bad }, 'chute pod cannot be read'));
  const members = new Map<string, Member>();
  const listeners: (() => void)[] = [];
  let told: NodeJS.Immediate | undefined;

  function changed(): void {
    told ??= setImmediate(() => {
      told = undefined;
      for (const listener of listeners) listener();
    });
  }

  function watch(name: string, kubeconfig: string, pods: Map<string, ObservedPod>): Member {
    const connection = connect(name, kubeconfig);
    const health = createHealth({
      clock,
      staleAfterMs,
      onState(state, why) {
        if (state === 'healthy') log.info({ member: name }, 'member is healthy');
        else log.warn({ member: name, why }, 'member is unhealthy; what is known of it is kept');
        changed();
      },
    });
    const watching = watchPods({
      connection,
      namespace,
      clock,
      random,
      pods,
      onChange: changed,
      onSynced: health.synced,
      onFailure: health.failed,
      onBadObject,
    });
    let node: MemberNode | undefined;
    const watchingNode = watchNode({
      connection,
      clock,
      random,
      onNode(seen) {
        node = seen;
        health.saw(seen);
        changed();
      },
    });
    return {
      kubeconfig,
      connection,
      pods,
      node: () => node,
      health,
      async stop() {
        health.stop();
        await Promise.all([watching.stop(), watchingNode.stop()]);
      },
    };
  }

  function find(name: string): Connection {
    const member = members.get(name);
    if (member) return member.connection;
    throw new MinerError('E-CLUSTER', `there is no member cluster "${name}"`, {
      detail: { member: name, status: 0, reason: 'Unknown' },
    });
  }

  return {
    async add(name, kubeconfig) {
      const before = members.get(name);
      // A new kubeconfig for a known member: what was seen on it stays until it was listed again.
      members.set(name, watch(name, kubeconfig, new Map(before?.pods)));
      changed();
      await before?.stop();
    },
    async remove(name) {
      const member = members.get(name);
      members.delete(name);
      changed();
      await member?.stop();
    },
    observe: () => ({
      pods: [...members.values()].flatMap(({ pods }) => [...pods.values()]),
      health: new Map([...members].map(([name, { health }]) => [name, health.current()])),
    }),
    nodes: () =>
      new Map(
        [...members].flatMap(([name, { node }]) => {
          const seen = node();
          return seen ? [[name, seen] as const] : [];
        }),
      ),
    kubeconfigs: () => new Map([...members].map(([name, { kubeconfig }]) => [name, kubeconfig])),
    onChange(listener) {
      listeners.push(listener);
    },
    node: async (member) => readNode(find(member)),
    labelNode: async (member, labels) => labelNode(find(member), labels),
    writeLaunchSecret: async (member, id, token) => writeLaunchSecret(find(member), namespace, id, token),
    deleteLaunchSecret: async (member, id) => deleteLaunchSecret(find(member), namespace, id),
    launchSecrets: async (member) => launchSecrets(find(member), namespace),
    startBootstrap: async (member, request, signal) =>
      startBootstrap({ connection: find(member), namespace, clock, render: options.renderBootstrap }, request, signal),
    stopBootstrap: async (member) => stopBootstrap({ connection: find(member), namespace, clock }),
    async close() {
      const open = [...members.values()];
      members.clear();
      await Promise.all(open.map((member) => member.stop()));
      clearImmediate(told);
      told = undefined;
    },
  };
}

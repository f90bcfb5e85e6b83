// Adds, verifies again and deletes GPU servers. At most one of these runs for a server: deleting one that is being added stops the adding
// first. What a process that is gone had begun is taken up by the next.

import type { ServerConfig } from '../domain/config.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { MemberNode } from '../domain/ports.ts';
import type { Verification } from '../domain/verification.ts';
import { checkNode } from './checks.ts';
import type { NodeDeps, Progress } from './deps.ts';
import { isProven } from './recall.ts';
import { stepsOf } from './strategies.ts';
import { takeUp, verify } from './verify.ts';

export interface PreparedNode {
  /**
   * Verify and take in; call it once. Resolves after a last message with `completed server bootstrapping in N seconds`. When it rejects,
   * everything is undone and the last message starts with `FAILED:` and the code.
   */
  run(progress: Progress, signal: AbortSignal): Promise<void>;
}

export interface Nodes {
  /** The checks before any progress is reported (checks.ts). The caller must `run` what it gets. */
  prepare(request: ServerConfig): Promise<PreparedNode>;
  /** `prepare` and `run` in one. */
  addNode(request: ServerConfig, progress: Progress, signal: AbortSignal): Promise<void>;
  /**
   * Verify the GPUs of a server in the inventory that nothing runs on, and lift its cordon. When it rejects, the server stays, cordoned,
   * and the validator knows none of its GPUs.
   */
  verifyAgain(request: ServerConfig, progress: Progress, signal: AbortSignal): Promise<void>;
  /** Take up what a process before this one began; resolves as soon as the servers are `busy`. Call it before anything is added. */
  takeUp(): Promise<void>;
  /**
   * Take a server out of the cluster repository, the validator, the members and the store. Rejects when the repository refuses (nothing
   * else was done then) or, after all else is done, when something was left behind.
   */
  deleteNode(name: string): Promise<void>;
  /** Is the server being added or deleted now? */
  busy(name: string): boolean;
  /** Stop all adding, and resolve when it is undone and all deleting is done. */
  stop(): Promise<void>;
}

interface Adding {
  stop: AbortController;
  finished: Promise<void>;
  finish(): void;
}

export function createNodes(deps: NodeDeps): Nodes {
  const { clock, log } = deps;
  const adding = new Map<string, Adding>();
  const deleting = new Map<string, Promise<void>>();

  function begin(name: string): Adding {
    if (adding.has(name)) throw new MinerError('E-ALREADY-ADDED', `server ${name} is being added`);
    if (deleting.has(name)) throw new MinerError('E-IN-USE', `server ${name} is being deleted`);
    const { promise, resolve } = Promise.withResolvers<void>();
    const entry = {
      stop: new AbortController(),
      finished: promise,
      finish() {
        adding.delete(name);
        resolve();
      },
    };
    adding.set(name, entry);
    return entry;
  }

  /** Run it to its end as the one thing that happens to this server. */
  async function exclusively(
    entry: Adding,
    record: Verification,
    progress: Progress,
    signal: AbortSignal,
    work = verify,
  ): Promise<void> {
    try {
      await work({ record, deps, progress, signal: AbortSignal.any([signal, entry.stop.signal]) });
    } finally {
      entry.finish();
    }
  }

  function newRecord(kind: Verification['kind'], request: ServerConfig, node: MemberNode): Verification {
    const { name } = request;
    const [first] = stepsOf({ kind, node });
    const step = first?.name ?? '';
    return { name, kind, request, node, startedAt: clock.now(), step, failure: undefined, facts: {} };
  }

  async function prepare(request: ServerConfig): Promise<PreparedNode> {
    const entry = begin(request.name);
    try {
      const { node, validator } = await checkNode(request, deps);
      const kind = (await isProven(request, node, validator)) ? 'recall' : 'add';
      return {
        async run(progress, signal) {
          progress(`adding server ${request.name}`);
          await exclusively(entry, newRecord(kind, request, node), progress, signal);
        },
      };
    } catch (error) {
      entry.finish();
      throw error;
    }
  }

  async function verifyAgain(request: ServerConfig, progress: Progress, signal: AbortSignal): Promise<void> {
    const entry = begin(request.name);
    let record: Verification;
    try {
      record = newRecord('again', request, await deps.members.node(request.name));
    } catch (error) {
      entry.finish();
      throw error;
    }
    await exclusively(entry, record, progress, signal);
  }

  async function takeUpAll(): Promise<void> {
    for (const record of await deps.store.verifications()) {
      const { name } = record;
      if (adding.has(name) || deleting.has(name)) continue;
      const entry = begin(name);
      const progress = (message: string) => log.info({ server: name }, message);
      // Its end is logged; whoever asked for it is gone.
      exclusively(entry, record, progress, entry.stop.signal, takeUp).catch(() => undefined);
    }
  }

  async function remove(name: string): Promise<void> {
    const running = adding.get(name);
    if (running) {
      running.stop.abort();
      await running.finished;
    }
    const server = (await deps.store.servers()).find((one) => one.name === name);
    // First, and required: a file that stays would have the server added again.
    await deps.repo.removeServer(name);
    const left: string[] = [];
    async function each(what: string, work: () => Promise<unknown> | undefined): Promise<void> {
      try {
        await work();
      } catch (error) {
        left.push(`${what}: ${messageOf(error)}`);
      }
    }
    if (server) {
      const gpuIds = server.gpus.map(({ gpuId }) => gpuId);
      await each('validator', () => deps.validator(server.validator)?.forgetServer(server.serverId, gpuIds));
    }
    await each('cluster', () => deps.members.remove(name));
    if (server) await each('row', () => deps.store.deleteServer(name));
    await each('verification', () => deps.store.endVerification(name));
    log.info({ server: name, left }, 'server deleted');
    if (left.length > 0) {
      const message = `server ${name} was deleted, but not everywhere: ${left.join('; ')}`;
      throw new MinerError('E-VALIDATOR', message, { detail: { left } });
    }
  }

  function deleteNode(name: string): Promise<void> {
    const running = deleting.get(name) ?? remove(name).finally(() => deleting.delete(name));
    deleting.set(name, running);
    return running;
  }

  return {
    prepare,
    async addNode(request, progress, signal) {
      const prepared = await prepare(request);
      await prepared.run(progress, signal);
    },
    verifyAgain,
    takeUp: takeUpAll,
    deleteNode,
    busy: (name) => adding.has(name) || deleting.has(name),
    async stop() {
      for (const { stop } of adding.values()) stop.abort();
      const running = [...adding.values()].map(({ finished }) => finished);
      await Promise.allSettled([...running, ...deleting.values()]);
    },
  };
}

// Adds and deletes GPU servers. At most one of the two runs for a server: deleting a server that is being added stops the adding first.

import type { ServerConfig } from '../domain/config.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { type CheckedNode, checkNode } from './checks.ts';
import type { NodeDeps, Progress } from './deps.ts';
import { runGraval } from './graval.ts';
import { createUndoStack, type UndoStack } from './undo.ts';

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

function asMinerError(error: unknown): MinerError {
  if (error instanceof MinerError) return error;
  return new MinerError('E-VERIFICATION', `unexpected: ${messageOf(error)}`, { cause: error });
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

  async function unwind(name: string, undo: UndoStack): Promise<void> {
    const left = await undo.unwind();
    if (left.length > 0) log.warn({ server: name, left }, 'not everything could be undone');
  }

  async function run(
    checked: CheckedNode,
    undo: UndoStack,
    entry: Adding,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<void> {
    const { name } = checked.request;
    const startedAt = clock.now();
    try {
      progress(`adding server ${name}`);
      await runGraval({ ...checked, deps, undo, progress, signal: AbortSignal.any([signal, entry.stop.signal]) });
      const seconds = Math.round((clock.now() - startedAt) / 1000);
      log.info({ server: name, seconds }, 'server added');
      progress(`completed server bootstrapping in ${seconds} seconds!`);
    } catch (error) {
      const known = asMinerError(error);
      await unwind(name, undo);
      log.warn({ server: name, code: known.code, reason: known.message }, 'server not added');
      progress(`FAILED: ${known.code} ${known.message}`);
      throw known;
    } finally {
      entry.finish();
    }
  }

  async function prepare(request: ServerConfig): Promise<PreparedNode> {
    const entry = begin(request.name);
    const undo = createUndoStack();
    try {
      const checked = await checkNode(request, deps, undo);
      return { run: (progress, signal) => run(checked, undo, entry, progress, signal) };
    } catch (error) {
      await unwind(request.name, undo);
      entry.finish();
      throw error;
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
    const undo = createUndoStack();
    if (server) {
      const gpuIds = server.gpus.map(({ gpuId }) => gpuId);
      const forget = async () => deps.validator(server.validator)?.forgetServer(server.serverId, gpuIds);
      undo.push('row', () => deps.store.deleteServer(name));
      undo.push('cluster', () => deps.members.remove(name));
      undo.push('validator', forget);
    } else {
      undo.push('cluster', () => deps.members.remove(name));
    }
    const left = await undo.unwind();
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
    deleteNode,
    busy: (name) => adding.has(name) || deleting.has(name),
    async stop() {
      for (const { stop } of adding.values()) stop.abort();
      const running = [...adding.values()].map(({ finished }) => finished);
      await Promise.allSettled([...running, ...deleting.values()]);
    },
  };
}

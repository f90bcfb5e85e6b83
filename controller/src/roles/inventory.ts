// Keeps the inventory what `servers/` on `main` says, as the API does: a file that appears adds the server, a file that goes away deletes it.
// Also keeps the member clusters attached. Work on one server never waits for another.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import type { ServerConfig } from '../domain/config.ts';
import { messageOf } from '../domain/errors.ts';
import type { Members } from '../domain/ports.ts';
import type { Server } from '../domain/server.ts';
import type { Nodes } from '../verification/nodes.ts';

export interface InventoryParts {
  members: Pick<Members, 'add' | 'observe'>;
  nodes: Pick<Nodes, 'addNode' | 'verifyAgain' | 'deleteNode' | 'busy'>;
  fetchKubeconfig(agentApi: string): Promise<string>;
  /**
   * What the tip of `main` says of a server at this moment; rejects while it cannot be read. The lists of `reconcile` are of different
   * moments, and what they say of `main` is the last that could be read: neither is a reason to add or delete.
   */
  configuredNow(name: string): Promise<ServerConfig | undefined>;
  /** Ends adding that is under way. */
  signal: AbortSignal;
  clock: Clock;
  log: Pick<Logger, 'info' | 'warn'>;
}

/** Silence of a member after which its kubeconfig is fetched again: the cluster may have been rebuilt. */
const refetchAfterMs = 300_000;
/** A new server is often named before its agent runs: tried again soon, then at twice the time, at most a minute. */
const firstRetryMs = 10_000;
const longestRetryMs = 60_000;
/** A server that could not be verified again is probably one for a person: each try takes its GPUs for minutes. */
const verifyAgainMs = 900_000;
/** Below this many, servers whose files went away together are never held back. */
const alwaysAllowed = 2;

export interface Inventory {
  /** Start what is missing; returns at once. At most `removalShare` of the servers is deleted for files that went away together. */
  reconcile(servers: readonly Server[], configured: ReadonlyMap<string, ServerConfig>, removalShare: number): void;
  /** What waits for a person, one sentence each. */
  held(): readonly string[];
  settled(): Promise<void>;
}

export function createInventory(parts: InventoryParts): Inventory {
  const { members, nodes, fetchKubeconfig, configuredNow, signal, clock, log } = parts;
  const running = new Map<string, Promise<void>>();
  const notBefore = new Map<string, number>();
  const failures = new Map<string, number>();
  const attachNotBefore = new Map<string, number>();
  let held: readonly string[] = [];
  let cordoned: readonly string[] = [];

  function start(name: string, work: () => Promise<void>, shortestPauseMs = firstRetryMs): void {
    if (running.has(name) || (notBefore.get(name) ?? 0) > clock.now()) return;
    const done = work()
      .then(() => void failures.delete(name))
      .catch((error: unknown) => {
        const before = failures.get(name) ?? 0;
        failures.set(name, before + 1);
        const pauseMs = Math.max(shortestPauseMs, Math.min(longestRetryMs, firstRetryMs * 2 ** before));
        notBefore.set(name, clock.now() + pauseMs);
        log.warn(`server ${name}: ${messageOf(error)}; trying again in ${pauseMs / 1000} s`);
      })
      .finally(() => running.delete(name));
    running.set(name, done);
  }

  async function attach({ name }: Server, agentApi: string): Promise<void> {
    const kubeconfig = await fetchKubeconfig(agentApi);
    // Deleted while the agent was asked: nothing would ever let go of the member.
    if (nodes.busy(name)) return;
    await members.add(name, kubeconfig);
    attachNotBefore.set(name, clock.now() + refetchAfterMs);
  }

  async function add(name: string): Promise<void> {
    const server = await configuredNow(name);
    if (server) await nodes.addNode(server, (message) => log.info({ server: name }, message), signal);
  }

  async function verifyAgain(name: string): Promise<void> {
    const server = await configuredNow(name);
    if (server) await nodes.verifyAgain(server, (message) => log.info({ server: name }, message), signal);
  }

  /** What runs keeps its GPUs until it ends by itself; the verification needs all of them. */
  function verifyCordoned(servers: readonly Server[], configured: ReadonlyMap<string, ServerConfig>): void {
    const { pods, health } = members.observe();
    const taken = new Set(pods.map(({ server }) => server));
    const waiting = servers.filter((server) => server.cordoned !== undefined);
    cordoned = waiting.map(
      ({ name, cordoned: why }) => `server ${name} is cordoned: ${why}; its GPUs are verified again when nothing runs`,
    );
    for (const { name } of waiting) {
      const ready = configured.has(name) && health.get(name)?.state === 'healthy' && !taken.has(name);
      if (ready && !nodes.busy(name)) start(name, () => verifyAgain(name), verifyAgainMs);
    }
  }

  function closedNodes(): string[] {
    const { health } = members.observe();
    return [...health].flatMap(([name, { closed }]) =>
      closed === undefined ? [] : [`server ${name} gets nothing new: ${closed} (kubectl describe node ${name})`],
    );
  }

  async function remove(name: string): Promise<void> {
    if (await configuredNow(name)) return;
    log.warn({ server: name }, 'has no file under servers/ on main: deleted');
    await nodes.deleteNode(name);
    attachNotBefore.delete(name);
  }

  /** A row without a file: taken out of `main`, or left behind by a miner that stopped while adding it. */
  function removeUnconfigured(unconfigured: readonly Server[], known: number, removalShare: number): void {
    const cap = Math.max(alwaysAllowed, Math.floor(known * removalShare));
    held =
      unconfigured.length <= cap
        ? []
        : [
            `${unconfigured.length} of ${known} servers have no file under servers/ on main any more, more than ` +
              `policy.removalShare (${removalShare}) allows; none is deleted until the files are back or the share is raised`,
          ];
    if (held.length > 0) return;
    for (const { name } of unconfigured) start(name, () => remove(name));
  }

  return {
    reconcile(servers, configured, removalShare) {
      const { health } = members.observe();
      const known = new Set(servers.map((server) => server.name));
      for (const server of servers) {
        const agentApi = configured.get(server.name)?.agentApi;
        const state = health.get(server.name);
        const silent = state && state.state !== 'healthy' && clock.now() - state.since > refetchAfterMs;
        const early = (attachNotBefore.get(server.name) ?? 0) > clock.now();
        if (agentApi && !early && (!state || silent)) start(server.name, () => attach(server, agentApi));
      }
      for (const server of configured.values()) {
        if (!known.has(server.name) && !nodes.busy(server.name)) start(server.name, () => add(server.name));
      }
      verifyCordoned(servers, configured);
      const idle = servers.filter(({ name }) => !configured.has(name) && !nodes.busy(name) && !running.has(name));
      removeUnconfigured(idle, known.size, removalShare);
    },
    held: () => [...held, ...cordoned, ...closedNodes()],
    settled: () => Promise.all(running.values()).then(() => undefined),
  };
}

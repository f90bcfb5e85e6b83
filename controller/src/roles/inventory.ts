// Keeps the member clusters attached: kubeconfigs are fetched from the agents again after a restart, and a server that appears on `main`
// by hand is added just as through the API. Work on one server never waits for another.

import type { Clock } from '../domain/clock.ts';
import type { ServerConfig } from '../domain/config.ts';
import { messageOf } from '../domain/errors.ts';
import type { Members } from '../domain/ports.ts';
import type { Server } from '../domain/server.ts';

export interface InventoryParts {
  members: Pick<Members, 'add' | 'observe'>;
  fetchKubeconfig(agentApi: string): Promise<string>;
  addNode(server: ServerConfig): Promise<void>;
  clock: Clock;
  log(message: string): void;
}

/** Silence of a member after which its kubeconfig is fetched again: the cluster may have been rebuilt. */
const refetchAfterMs = 300_000;
const retryMs = 60_000;

export interface Inventory {
  /** Start what is missing; returns at once. */
  reconcile(servers: readonly Server[], configured: ReadonlyMap<string, ServerConfig>): void;
  settled(): Promise<void>;
}

export function createInventory({ members, fetchKubeconfig, addNode, clock, log }: InventoryParts): Inventory {
  const running = new Map<string, Promise<void>>();
  const notBefore = new Map<string, number>();

  function start(name: string, work: () => Promise<void>): void {
    if (running.has(name) || (notBefore.get(name) ?? 0) > clock.now()) return;
    const done = work()
      .then(() => undefined)
      .catch((error: unknown) => {
        notBefore.set(name, clock.now() + retryMs);
        log(`server ${name}: ${messageOf(error)}; trying again in ${retryMs / 1000} s`);
      })
      .finally(() => running.delete(name));
    running.set(name, done);
  }

  async function attach(server: Server, agentApi: string): Promise<void> {
    await members.add(server.name, await fetchKubeconfig(agentApi));
    notBefore.set(server.name, clock.now() + refetchAfterMs);
  }

  return {
    reconcile(servers, configured) {
      const { health } = members.observe();
      const known = new Set(servers.map((server) => server.name));
      for (const server of servers) {
        const agentApi = configured.get(server.name)?.agentApi ?? server.agentApi;
        const state = health.get(server.name);
        const silent = state && state.state !== 'healthy' && clock.now() - state.since > refetchAfterMs;
        if (agentApi && (!state || silent)) start(server.name, () => attach(server, agentApi));
      }
      for (const server of configured.values()) if (!known.has(server.name)) start(server.name, () => addNode(server));
    },
    settled: () => Promise.all(running.values()).then(() => undefined),
  };
}

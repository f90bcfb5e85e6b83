// Gathers the world: one snapshot from git, the store, the feeds and the member clusters.

import type { Chute } from '../domain/chute.ts';
import type { Clock } from '../domain/clock.ts';
import type { DeploymentLifecycle, ObservedPod } from '../domain/deployment.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { policyAt } from '../domain/policy.ts';
import type { ClusterRepo, ControllerLink, MainTree, Store } from '../domain/ports.ts';
import type { Server } from '../domain/server.ts';
import type { OfferBook } from '../gepetto/offers.ts';
import type { Snapshot } from '../gepetto/pass.ts';
import type { World } from '../gepetto/world.ts';
import { cooldownsOf, createFirstMultipliers, marketOf } from './market.ts';
import { createReuse } from './reuse.ts';
import { createSites } from './sites.ts';

/** Rows of deployments that went this recently still tell why the next one is made; those of the policy's window count in its caps. */
const rememberGoneMs = 600_000;
const dayMs = 86_400_000;

export interface LookParts {
  hotkey: string;
  repo: Pick<ClusterRepo, 'readMain' | 'readLastGoodMain' | 'readLive'>;
  store: Pick<Store, 'servers' | 'lifecycles' | 'chutes'>;
  feeds: ControllerLink['feeds'];
  observe: ControllerLink['observe'];
  hints: Hints;
  /** Without it no rental is taken. */
  offers?: Pick<OfferBook, 'open'>;
  clock: Pick<Clock, 'now'>;
  /** `main` cannot be read: the last good one goes on, and somebody must hear of it; called once for each mistake. */
  onBadMain(error: unknown): void;
}

/** What events and people said since; each set is emptied by whoever fills it once it came true. */
export interface Hints {
  goneChutes: Set<string>;
  rollingInstances: Set<string>;
}

export function emptyHints(): Hints {
  return { goneChutes: new Set(), rollingInstances: new Set() };
}

export interface Look {
  snapshot(): Promise<Snapshot>;
  /** Server and chute of the last snapshot, for rendering. */
  lookup(serverName: string, chuteId: string): { server: Server; chute: Chute } | undefined;
  main(): MainTree;
}

export async function createLook(parts: LookParts): Promise<Look> {
  const { repo, store, hints } = parts;
  let main = await repo.readLastGoodMain();
  let last: World | undefined;
  let complaint: string | undefined;
  let recalled = false;
  let history: readonly DeploymentLifecycle[] = [];
  const sameServers = createReuse<Server>(({ name }) => name);
  const sameRows = createReuse<DeploymentLifecycle>(({ deploymentId }) => deploymentId);
  // Of the link, whose answers are new objects too.
  const samePods = createReuse<ObservedPod>(({ server, podName }) => `${server} ${podName}`);
  const sitesOf = createSites();
  const firstMultipliersOf = createFirstMultipliers();

  async function freshMain(): Promise<MainTree> {
    try {
      const fresh = await repo.readMain();
      if (fresh.config.hotkey !== parts.hotkey) {
        throw new MinerError(
          'E-HOTKEY',
          `miner.yaml: hotkey: found ${fresh.config.hotkey}, but this miner runs as ${parts.hotkey}`,
        );
      }
      main = fresh;
      complaint = undefined;
    } catch (error) {
      // Every pass and every status looks here.
      if (complaint !== messageOf(error)) parts.onBadMain(error);
      complaint = messageOf(error);
    }
    return main;
  }

  /** Old rows tell once what was loaded on the servers. Nobody waits for so many: without them a start is only estimated too long. */
  function recall(since: number): void {
    if (recalled) return;
    recalled = true;
    store.lifecycles(since).then(
      (rows) => {
        history = rows;
      },
      () => {
        recalled = false;
      },
    );
  }

  async function snapshot(): Promise<Snapshot> {
    const { config, commit, servers: configured, strategy } = await freshMain();
    // Live is read last: a manifest that it names has its row by then.
    const [rows, stored] = await Promise.all([
      store.servers(),
      store.lifecycles(parts.clock.now() - Math.max(rememberGoneMs, config.policy.limits.minutes * 60_000)),
    ]);
    const lifecycles = sameRows(stored);
    const feeds = parts.feeds();
    const { pods: observed, health } = parts.observe();
    const pods = samePods(observed);
    const live = await repo.readLive();
    const chutes = await chutesOf(feeds, store);
    const now = parts.clock.now();
    const cacheDays = config.cache.maxAgeDays;
    recall(now - cacheDays * dayMs);
    const byId = new Map(lifecycles.map((row) => [row.deploymentId, row]));
    for (const chuteId of hints.goneChutes) if (chutes.has(chuteId)) hints.goneChutes.delete(chuteId);
    last = {
      hotkey: parts.hotkey,
      chutes,
      feeds,
      servers: sameServers(rows.map((server) => withConfig(server, configured.get(server.name)))),
      configuredServers: new Set(configured.keys()),
      desired: live.deployments,
      lifecycles: byId,
      pods,
      health,
      goneChutes: new Set(hints.goneChutes),
      rollingInstances: new Set(hints.rollingInstances),
      undeployRequests: new Set(
        lifecycles.filter((row) => row.undeployAt !== undefined).map((row) => row.deploymentId),
      ),
      ...(parts.offers && { jobs: parts.offers.open(now, chutes) }),
      cooldowns: cooldownsOf(feeds),
      market: marketOf(chutes, feeds, now),
      sites: sitesOf({ servers: rows, configured, chutes, rows: [...history, ...lifecycles], cacheDays, now }),
      firstMultipliers: firstMultipliersOf(byId, feeds),
    };
    history = [];
    return { world: last, policy: policyAt(config.policy, now), configCommit: commit, live, strategy };
  }

  return {
    snapshot,
    main: () => main,
    lookup(serverName, chuteId) {
      const server = last?.servers.find((one) => one.name === serverName);
      const chute = last?.chutes.get(chuteId);
      return server && chute && { server, chute };
    },
  };
}

/** Price and lock are people's: what `main` says goes. A cordon locks on top of it. */
function withConfig(server: Server, config: { hourlyCost: number; locked: boolean } | undefined): Server {
  const { hourlyCost, locked } = config ?? server;
  return { ...server, hourlyCost, locked: locked || server.cordoned !== undefined };
}

/** Until a validator has answered once, the chutes the store remembers. */
async function chutesOf(
  feeds: ReturnType<ControllerLink['feeds']>,
  store: Pick<Store, 'chutes'>,
): Promise<Map<string, Chute>> {
  const chutes = new Map<string, Chute>();
  const answered = [...feeds.values()].every((feed) => feed.chutes.fetchedAt !== undefined);
  if (!answered) for (const chute of await store.chutes()) chutes.set(chute.chuteId, chute);
  for (const feed of feeds.values()) for (const [chuteId, chute] of feed.chutes.items) chutes.set(chuteId, chute);
  return chutes;
}

// What is known of each server beyond its row: the speeds that people wrote down, and what was loaded there, which the store's rows show.
// Nothing is asked of a cluster for it.

import type { Chute } from '../domain/chute.ts';
import type { ServerConfig } from '../domain/config.ts';
import type { DeploymentLifecycle } from '../domain/deployment.ts';
import type { Server } from '../domain/server.ts';
import type { SiteFacts } from '../gepetto/world.ts';

const dayMs = 86_400_000;

interface Known {
  /** A server that was added anew under its name has an empty disk. */
  serverId: string;
  /** When something was last seen there, ms. */
  images: Map<string, number>;
  models: Map<string, number>;
  facts: SiteFacts | undefined;
  /** What the facts were made from. */
  signature: string;
}

export interface SitesInput {
  servers: readonly Server[];
  configured: ReadonlyMap<string, Pick<ServerConfig, 'netMbps' | 'diskReadGbps'>>;
  chutes: ReadonlyMap<string, Chute>;
  rows: Iterable<DeploymentLifecycle>;
  /** Days after which a cache on a server is cleaned. */
  cacheDays: number;
  now: number;
}

/**
 * By server name; a server of which nothing is known is left out. A model is on a server once its chute was active there, an image once
 * its pod ran, until the cache's age is over: whoever cleaned up earlier makes an estimate too short, and nothing else wrong. The facts of
 * a server are the same object as long as they say the same.
 */
export function createSites(): (input: SitesInput) => ReadonlyMap<string, SiteFacts> {
  const known = new Map<string, Known>();

  function look(input: SitesInput): void {
    for (const row of input.rows) {
      const site = known.get(row.server);
      if (!site) continue;
      const seenAt = row.removedAt ?? (row.goneAt === undefined ? input.now : row.goneAt);
      const image = input.chutes.get(row.chuteId);
      if (row.runningAt !== undefined && image?.version === row.version) note(site.images, image.image, seenAt);
      if (row.activatedAt !== undefined) note(site.models, row.chuteId, seenAt);
    }
  }

  return (input) => {
    const { servers, configured, cacheDays, now } = input;
    const names = new Set(servers.map(({ name }) => name));
    for (const name of known.keys()) if (!names.has(name)) known.delete(name);
    for (const { name, serverId } of servers) {
      if (known.get(name)?.serverId === serverId) continue;
      known.set(name, { serverId, images: new Map(), models: new Map(), facts: undefined, signature: '' });
    }
    look(input);
    const sites = new Map<string, SiteFacts>();
    for (const [name, site] of known) {
      for (const seen of [site.images, site.models]) {
        for (const [key, at] of seen) if (now - at > cacheDays * dayMs) seen.delete(key);
      }
      const { netMbps, diskReadGbps } = configured.get(name) ?? {};
      const signature = [netMbps, diskReadGbps, ...site.images.keys(), '', ...site.models.keys()].join(' ');
      if (signature !== site.signature) {
        site.signature = signature;
        site.facts = {
          ...(netMbps !== undefined && { netMbps }),
          ...(diskReadGbps !== undefined && { diskReadGbps }),
          images: new Set(site.images.keys()),
          models: new Set(site.models.keys()),
        };
      }
      const isKnown = netMbps !== undefined || diskReadGbps !== undefined || site.images.size + site.models.size > 0;
      if (isKnown && site.facts) sites.set(name, site.facts);
    }
    return sites;
  };
}

function note(seen: Map<string, number>, key: string, at: number): void {
  if ((seen.get(key) ?? 0) < at) seen.set(key, at);
}

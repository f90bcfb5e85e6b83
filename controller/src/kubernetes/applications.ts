// Asks Argo CD to compare Applications with git now: one annotation, which with the label of lockrequests.ts is all that the miner writes in its
// own cluster. As many at a time as it syncs quickly, and those of small commits first, so that a bounty does not stand in line behind a
// thousand other changes. A hint that is lost costs time, never a change: Argo CD looks by itself too.

import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { z } from 'zod';
import { messageOf } from '../domain/errors.ts';
import { callApi } from './call.ts';

export interface ApplicationsOptions {
  config: KubeConfig;
  /** Of Argo CD. */
  namespace: string;
  log: Pick<Logger, 'warn'>;
  /** Until a hint that was not heeded is given once more, ms. Default: 2 s. */
  againMs?: number;
  /** Between two looks whether a hint was heeded, ms. Default: 250. */
  lookMs?: number;
  /** Until the next one gets the place of an Application whose sync does not end, ms. Default: 15 s. */
  patienceMs?: number;
  /** Synced within this time, one more may be under way; beyond twice of it, one fewer, ms. Default: 1 s. */
  quickMs?: number;
}

export interface Applications {
  /**
   * `commit`: newest of the branch. Returns at once. One that waits for its turn already keeps it, or gets a better one; one that there is not
   * yet is left out.
   */
  refresh(names: readonly string[], commit: string): void;
  /** Resolves when nothing is on its way. */
  settled(): Promise<void>;
}

const firstAtOnce = 4;
const fewestAtOnce = 2;
const mostAtOnce = 16;
const rememberedCommits = 1_000;
/**
 * `hard`, because Argo CD asks git which files a commit touches, and git takes a file that goes on one server and one like it that comes on
 * another for a rename and names the new one only: with `normal` the first server's Application would keep its old manifests.
 */
const body = JSON.stringify({ metadata: { annotations: { 'argocd.argoproj.io/refresh': 'hard' } } });

const shape = z.object({
  operation: z.unknown().optional(),
  status: z
    .object({
      sync: z.object({ revision: z.string().default('') }).default({ revision: '' }),
      operationState: z.object({ phase: z.string().default('') }).default({ phase: '' }),
    })
    .optional(),
});

interface Hint {
  commit: string;
  /** How many Applications the commit changes. */
  size: number;
}

export function openApplications(options: ApplicationsOptions): Applications {
  const { config, namespace, log, againMs = 2_000, lookMs = 250, patienceMs = 15_000, quickMs = 1_000 } = options;
  const waiting = new Map<string, Hint>();
  const underWay = new Map<string, Promise<void>>();
  /** The newest last. */
  const told = new Map<string, number>();
  let complaint = '';
  let atOnce = firstAtOnce;

  const pathOf = (name: string) => `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/applications/${name}`;

  function complain(text: string): void {
    if (text !== complaint) log.warn(`Argo CD is not told to look: ${text}`);
    complaint = text;
  }

  /** False when there is nothing to wait for. */
  async function annotate(name: string): Promise<boolean> {
    try {
      const { status } = await callApi(config, 'PATCH', pathOf(name), { type: 'application/merge-patch+json', body });
      if (status >= 200 && status < 300) complaint = '';
      else if (status !== 404) complain(`Application ${name}: HTTP ${status}`);
      return status >= 200 && status < 300;
    } catch (error) {
      complain(messageOf(error));
      return false;
    }
  }

  /** Whether it was compared with the commit or a later one, and whether it is being synced; undefined when that is not known. */
  async function look(name: string, commit: string): Promise<{ heeded: boolean; syncs: boolean } | undefined> {
    try {
      const { status, text } = await callApi(config, 'GET', pathOf(name));
      if (status !== 200) return undefined;
      const { operation, status: seen } = shape.parse(JSON.parse(text));
      const at = told.get(seen?.sync.revision ?? '') ?? -1;
      const syncs = operation !== undefined || seen?.operationState.phase === 'Running';
      return { heeded: at >= (told.get(commit) ?? 0), syncs };
    } catch {
      return undefined;
    }
  }

  function adapt(lastedMs: number): void {
    if (lastedMs < quickMs) atOnce = Math.min(mostAtOnce, atOnce + 1);
    else if (lastedMs > 2 * quickMs) atOnce = Math.max(fewestAtOnce, atOnce - 1);
  }

  /** Argo CD takes the annotation off when it has looked, also one that came while it still looked at the commit before. */
  async function follow(name: string, { commit }: Hint): Promise<void> {
    if (!(await annotate(name))) return;
    const startedAt = performance.now();
    let isRepeated = false;
    for (;;) {
      await sleep(lookMs, undefined, { ref: false });
      const found = await look(name, commit);
      const lasted = performance.now() - startedAt;
      // A newer hint gets its own turn.
      if (waiting.has(name)) return;
      if ((found?.heeded && !found.syncs) || lasted > patienceMs) return adapt(lasted);
      if (found?.heeded || lasted < againMs) continue;
      if (isRepeated) return;
      isRepeated = true;
      await annotate(name);
    }
  }

  function next(): [string, Hint] | undefined {
    let best: [string, Hint] | undefined;
    for (const entry of waiting) if (!underWay.has(entry[0]) && (!best || entry[1].size < best[1].size)) best = entry;
    return best;
  }

  function start(): void {
    while (underWay.size < atOnce) {
      const found = next();
      if (!found) return;
      const [name, hint] = found;
      waiting.delete(name);
      const work = follow(name, hint).finally(() => {
        underWay.delete(name);
        start();
      });
      underWay.set(name, work);
    }
  }

  let count = 0;
  return {
    refresh(names, commit) {
      told.delete(commit);
      told.set(commit, count++);
      for (const old of told.keys()) {
        if (told.size <= rememberedCommits) break;
        told.delete(old);
      }
      for (const name of names) {
        const size = Math.min(names.length, waiting.get(name)?.size ?? names.length);
        waiting.set(name, { commit, size });
      }
      start();
    },
    async settled() {
      while (underWay.size > 0) await Promise.all(underWay.values());
    },
  };
}

// Asks Argo CD to compare Applications with git now: one annotation, which with the label of lockrequests.ts is all that the miner writes in its
// own cluster. A hint that is lost costs time, never a change: Argo CD looks by itself too.

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
  /** Until each hint that was not heeded is given once more, ms. Default: 2 s. */
  againMs?: number;
}

export interface Applications {
  /**
   * `commit`: newest of the branch. Returns at once. One that is asked for while it waits for its turn is asked for once; one that there is
   * not yet is left out.
   */
  refresh(names: readonly string[], commit: string): void;
  /** Resolves when nothing is on its way. */
  settled(): Promise<void>;
}

const atOnce = 8;
/**
 * `hard`, because Argo CD asks git which files a commit touches, and git takes a file that goes on one server and one like it that comes on
 * another for a rename and names the new one only: with `normal` the first server's Application would keep its old manifests.
 */
const body = JSON.stringify({ metadata: { annotations: { 'argocd.argoproj.io/refresh': 'hard' } } });
const compared = z.object({ status: z.object({ sync: z.object({ revision: z.string() }) }) });

export function openApplications({ config, namespace, log, againMs = 2_000 }: ApplicationsOptions): Applications {
  const waiting = new Set<string>();
  const workers = new Set<Promise<void>>();
  const again = new Map<string, NodeJS.Timeout>();
  let complaint = '';

  const pathOf = (name: string) => `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/applications/${name}`;

  /** HTTP status. */
  async function annotate(name: string): Promise<number> {
    return (await callApi(config, 'PATCH', pathOf(name), { type: 'application/merge-patch+json', body })).status;
  }

  async function isAt(name: string, commit: string): Promise<boolean> {
    const { status, text } = await callApi(config, 'GET', pathOf(name));
    return status === 200 && compared.safeParse(JSON.parse(text)).data?.status.sync.revision === commit;
  }

  function complain(text: string): void {
    if (text !== complaint) log.warn(`Argo CD is not told to look: ${text}`);
    complaint = text;
  }

  async function work(): Promise<void> {
    for (const name of waiting) {
      waiting.delete(name);
      try {
        const status = await annotate(name);
        if (status >= 200 && status < 300) complaint = '';
        else if (status !== 404) complain(`Application ${name}: HTTP ${status}`);
      } catch (error) {
        complain(messageOf(error));
      }
    }
  }

  /** Argo CD takes the annotation off when it has looked, also one that came while it still looked at the commit before. */
  async function repeat(name: string, commit: string): Promise<void> {
    again.delete(name);
    if (!(await isAt(name, commit).catch(() => false))) ask([name]);
  }

  function repeatLater(name: string, commit: string): void {
    clearTimeout(again.get(name));
    again.set(name, setTimeout(() => void repeat(name, commit), againMs).unref());
  }

  function ask(names: readonly string[]): void {
    for (const name of names) waiting.add(name);
    while (workers.size < Math.min(atOnce, waiting.size)) {
      const worker = work().finally(() => workers.delete(worker));
      workers.add(worker);
    }
  }

  return {
    refresh(names, commit) {
      ask(names);
      for (const name of names) repeatLater(name, commit);
    },
    async settled() {
      await Promise.all(workers);
    },
  };
}

// Follows the node of one member, so that a GPU that is gone is known before anything else is placed there. Failures leave what is known;
// whether the member can be reached at all is told by its pods.

import type { V1Node } from '@kubernetes/client-node';
import type { Clock } from '../domain/clock.ts';
import type { MemberNode } from '../domain/ports.ts';
import { watchSeconds } from '../domain/watchtime.ts';
import type { Connection } from './connection.ts';
import { describeNode } from './nodes.ts';
import { pace } from './pace.ts';
import { retryDelay } from './podwatch.ts';

const relistMs = 30_000;

export interface NodeWatchOptions {
  connection: Connection;
  clock: Clock;
  random(): number;
  /** Only when something of it differs. */
  onNode(node: MemberNode): void;
}

/** Runs until `stop`, which resolves when the last step is over; close the connection before. */
export function watchNode({ connection, clock, random, onNode }: NodeWatchOptions): { stop(): Promise<void> } {
  const { member, core } = connection;
  const stopping = new AbortController();
  const { signal } = stopping;
  const fieldSelector = `metadata.name=${member}`;
  let told = '';

  function tell(object: V1Node): void {
    const node = describeNode(member, object);
    // Heartbeats change the object every few seconds.
    if (told === JSON.stringify(node)) return;
    told = JSON.stringify(node);
    onNode(node);
  }

  async function list(): Promise<string> {
    const answer = await connection.call('list nodes', () => core.listNode({ fieldSelector }));
    for (const node of answer.items) tell(node);
    return answer.metadata?.resourceVersion ?? '';
  }

  /** True when the watch lasted until it or the next list was due. */
  async function follow(resourceVersion: string): Promise<boolean> {
    const over = new AbortController();
    const query = { fieldSelector, resourceVersion, timeoutSeconds: watchSeconds(random) };
    const watching = connection.watch('/api/v1/nodes', query, (type, object) => {
      if (over.signal.aborted) return;
      if (type === 'ADDED' || type === 'MODIFIED') tell(object as V1Node);
      else if (type === 'ERROR') watching.stop();
    });
    const due = pace(clock, relistMs, 1_000, AbortSignal.any([signal, over.signal])).then(() => true);
    const lasted = await Promise.race([watching.ended, due]);
    over.abort();
    watching.stop();
    return lasted;
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        failures = (await follow(await list())) ? 0 : failures + 1;
      } catch {
        failures += 1;
      }
      if (failures > 0) await pace(clock, retryDelay(failures, random), 20, signal);
    }
  }

  const running = run();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

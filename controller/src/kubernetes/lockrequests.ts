// Buttons `lock` and `unlock` of Argo CD: they set a label on the server's Application, which is taken off again once what was asked for is
// done. While it cannot be done the label stays, so nothing that was asked for is lost.

import type { KubeConfig } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { z } from 'zod';
import { systemClock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import { type LockRequest, lockLabel, serverLabel } from '../domain/lockrequest.ts';
import { callApi } from './call.ts';

export interface LockRequestOptions {
  config: KubeConfig;
  /** Of Argo CD. */
  namespace: string;
  log: Pick<Logger, 'info' | 'warn'>;
  /** Does it, or rejects: then it is asked again. What cannot be done ever has to resolve. */
  onAsked(request: LockRequest): Promise<void>;
  /** Between two looks, ms. Default: 3 s. */
  pollMs?: number;
}

const listShape = z.object({
  items: z.array(
    z.object({ metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }) }),
  ),
});

/** Looks until the function that it returns is called, which resolves when nothing is under way. */
export function followLockRequests(options: LockRequestOptions): () => Promise<void> {
  const { config, namespace, log, onAsked, pollMs = 3_000 } = options;
  const path = `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/applications`;
  const wanted = `${path}?labelSelector=${encodeURIComponent(lockLabel)}&limit=500`;
  const stopping = new AbortController();
  let complaint = '';

  function complain(text: string): void {
    if (text !== complaint) log.warn(`buttons of Argo CD are not heard: ${text}`);
    complaint = text;
  }

  /** Unless the other button was pressed meanwhile. */
  async function takeOff(name: string, value: string): Promise<void> {
    const at = `/metadata/labels/${lockLabel.replace('/', '~1')}`;
    const body = JSON.stringify([
      { op: 'test', path: at, value },
      { op: 'remove', path: at },
    ]);
    const { status } = await callApi(config, 'PATCH', `${path}/${name}`, { type: 'application/json-patch+json', body });
    const isDone = (status >= 200 && status < 300) || status === 404 || status === 422;
    if (!isDone) throw new Error(`Application ${name}: HTTP ${status}`);
  }

  async function look(): Promise<void> {
    const { status, text } = await callApi(config, 'GET', wanted);
    if (status !== 200) throw new Error(`HTTP ${status}`);
    const problems: string[] = [];
    for (const { metadata } of listShape.parse(JSON.parse(text)).items) {
      const { name, labels } = metadata;
      const [value, server] = [labels[lockLabel] ?? '', labels[serverLabel]];
      try {
        if (server !== undefined && (value === 'lock' || value === 'unlock')) {
          await onAsked({ server, locked: value === 'lock' });
          log.info({ server }, `${value} was asked for in Argo CD`);
        }
        await takeOff(name, value);
      } catch (error) {
        problems.push(messageOf(error));
      }
    }
    if (problems[0] !== undefined) throw new Error(problems[0]);
  }

  async function follow(): Promise<void> {
    while (!stopping.signal.aborted) {
      await look().then(
        () => {
          complaint = '';
        },
        (error: unknown) => complain(messageOf(error)),
      );
      await systemClock.sleep(pollMs, stopping.signal);
    }
  }

  const running = follow();
  return () => {
    stopping.abort();
    return running;
  };
}

// The monitor of an older control plane, as an agent calls it (protocol.md 4.4). Each change is signed and sent once; what the monitor
// does not take rejects with E-MONITOR.

import type { Clock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { managementHeaders, type SignedHeaders } from '../signing/sign.ts';
import type { Signer } from '../signing/sr25519.ts';
import type { Resources } from './resources.ts';

export interface Monitor {
  /** Whether a monitor answers there; false for any other kind of control plane. Rejects when nothing answers. */
  answers(): Promise<boolean>;
  /** Tell everything, as a cluster that the monitor did not follow. False: the server is not in its inventory. */
  register(resources: Resources): Promise<boolean>;
  /** Tell everything anew. False as above. */
  replace(resources: Resources): Promise<boolean>;
  /** False when the monitor wants everything told anew. */
  heartbeat(): Promise<boolean>;
  unregister(): Promise<void>;
}

export interface MonitorOptions {
  /** Base URL of the control plane. */
  url: string;
  /** Name of the cluster: that of its node. */
  cluster: string;
  signer: Signer;
  clock: Clock;
  /** Wall-clock ms. Default 30 s. */
  timeoutMs?: number;
  /** Ends what is under way. */
  signal: AbortSignal;
}

/** Microseconds and offset, which the monitor's parser demands (protocol.md 3.2). */
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000+00:00');
}

function reasonOf(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  return messageOf(inner);
}

export function createMonitor(options: MonitorOptions): Monitor {
  const { cluster, signer, clock, signal, timeoutMs = 30_000 } = options;
  const base = options.url.replace(/\/+$/, '');
  const own = `/api/v1/clusters/${encodeURIComponent(cluster)}`;

  function signed(body: string | undefined): SignedHeaders {
    const headers = managementHeaders(signer, { body, purpose: 'monitoring' }, clock);
    return body === undefined ? headers : { ...headers, 'Content-Type': 'application/json' };
  }

  async function send(method: string, path: string, body?: object): Promise<number> {
    const text = body && JSON.stringify(body);
    try {
      const response = await fetch(base + path, {
        method,
        // Reads are open to everybody: who is asked first need not get a signature that also stops an agent.
        headers: method === 'GET' ? {} : signed(text),
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        ...(text === undefined ? {} : { body: text }),
      });
      await response.body?.cancel();
      return response.status;
    } catch (error) {
      throw new MinerError('E-MONITOR', `control plane ${base} cannot be reached: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }

  function refused(what: string, status: number): MinerError {
    return new MinerError('E-MONITOR', `control plane ${base} answered ${status} to ${what}`, { detail: { status } });
  }

  async function answers(): Promise<boolean> {
    const status = await send('GET', '/api/v1/monitoring/clusters');
    if (status >= 500) throw refused('a look at its clusters', status);
    return status === 200 || status === 401 || status === 403;
  }

  async function unregister(): Promise<void> {
    const status = await send('DELETE', own);
    if (status !== 200 && status !== 404) throw refused('the removal of this cluster', status);
  }

  async function register(resources: Resources): Promise<boolean> {
    let status = await send('POST', own, { resources });
    if (status === 409) {
      await unregister();
      status = await send('POST', own, { resources });
    }
    if (status !== 200 && status !== 404) throw refused('the registration of this cluster', status);
    return status === 200;
  }

  async function replace(resources: Resources): Promise<boolean> {
    const status = await send('PUT', `${own}/resources`, { resources });
    if (status === 410) return register(resources);
    if (status !== 200 && status !== 404) throw refused('a report', status);
    return status === 200;
  }

  async function heartbeat(): Promise<boolean> {
    const status = await send('PUT', `${own}/health`, { state: 'active', timestamp: timestamp(clock.now()) });
    if (status !== 200 && status !== 404 && status !== 409) throw refused('a heartbeat', status);
    return status === 200;
  }

  return { answers, register, replace, heartbeat, unregister };
}

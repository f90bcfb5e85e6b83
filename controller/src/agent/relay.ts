// Promises: the control plane that was named is told of this cluster if it takes reports (an older monitor), within half a minute of a
// change, until `stop`; a newer one reads the cluster itself and is only remembered. What fails is tried again, and survives a restart.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { Random } from '../domain/random.ts';
import type { Monitor } from './monitor.ts';
import { digestOf, type Resources } from './resources.ts';
import type { UrlFile } from './urlfile.ts';

/** As `GET /monitor/status` shows it (protocol.md 4.3). */
export interface RelayStatus {
  cluster_id: string;
  /** `degraded`: tried again by itself. `error`: only a restart helps. */
  state: 'stopped' | 'starting' | 'running' | 'degraded' | 'error';
  error_message: string | null;
  /** ISO time of the last one that the control plane took. */
  last_heartbeat: string | null;
}

export interface Relay {
  status(): RelayStatus;
  /**
   * Remember the URL, then connect. Resolves to what happened, in one sentence. Rejects with E-IN-USE while one is running, E-MONITOR or
   * E-CLUSTER when it does not work yet; it is tried again then.
   */
  start(url: string): Promise<string>;
  /** Say goodbye and forget the URL. Rejects with E-IN-USE when nothing was started. */
  stop(): Promise<string>;
  /** Go on after a restart. Never rejects. */
  resume(): Promise<void>;
  /** Ends what runs; the URL stays for `resume`. */
  close(): Promise<void>;
}

export interface RelayOptions {
  cluster: string;
  urlFile: UrlFile;
  monitorAt(url: string, signal: AbortSignal): Monitor;
  readResources(): Promise<Resources>;
  clock: Clock;
  random: Random;
  log: Pick<Logger, 'info' | 'warn'>;
}

type Outcome = 'reported' | 'takes no reports' | 'unknown server';

const reportMs = 30_000;
const firstRetryMs = 5_000;
const longestRetryMs = 300_000;

interface Session {
  url: string;
  ending: AbortController;
  /** Digest of what a monitor knows; undefined before it knows anything. */
  told: string | undefined;
  loop: Promise<void>;
}

export function createRelay(options: RelayOptions): Relay {
  const { cluster, urlFile, monitorAt, readResources, clock, random, log } = options;
  let status: RelayStatus = { cluster_id: cluster, state: 'stopped', error_message: null, last_heartbeat: null };
  let session: Session | undefined;
  let queue: Promise<unknown> = Promise.resolve();

  /** Changes of state happen one after the other. */
  function inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = queue.then(change);
    queue = turn.catch(() => undefined);
    return turn;
  }

  function enter(state: RelayStatus['state'], problem: string | null = null): void {
    status = { ...status, state, error_message: problem };
  }

  async function forget(current: Session, problem: string | null): Promise<void> {
    if (session === current) session = undefined;
    await urlFile.forget();
    status = { ...status, last_heartbeat: null };
    enter('stopped', problem);
  }

  async function report(current: Session, monitor: Monitor): Promise<Outcome> {
    if (current.told === undefined && !(await monitor.answers())) return 'takes no reports';
    const resources = await readResources();
    const digest = digestOf(resources);
    if (current.told !== digest) {
      const known = current.told === undefined ? await monitor.register(resources) : await monitor.replace(resources);
      if (!known) return 'unknown server';
      current.told = digest;
    }
    if (!(await monitor.heartbeat())) {
      // It lost sight of this cluster: the next report starts from the beginning.
      current.told = undefined;
      throw new MinerError('E-MONITOR', `control plane ${current.url} wants everything told anew`);
    }
    status = { ...status, last_heartbeat: new Date(clock.now()).toISOString() };
    return 'reported';
  }

  async function giveUp(current: Session): Promise<MinerError> {
    const problem = `control plane ${current.url} has no server ${cluster} in its inventory; add it there first`;
    log.warn({ url: current.url }, problem);
    try {
      await forget(current, problem);
    } catch (error) {
      enter('error', `the file with the control plane's URL cannot be removed: ${messageOf(error)}`);
    }
    return new MinerError('E-MONITOR', problem);
  }

  /** Reports until the session ends. `onFirst` hears how the first one went, later calls of it mean nothing. */
  async function run(current: Session, onFirst: (outcome: Outcome | MinerError) => void): Promise<void> {
    const { signal } = current.ending;
    const monitor = monitorAt(current.url, signal);
    let delay = firstRetryMs;
    while (!signal.aborted) {
      try {
        const outcome = await report(current, monitor);
        if (signal.aborted) break;
        if (outcome === 'unknown server') return onFirst(await giveUp(current));
        enter('running');
        onFirst(outcome);
        if (outcome === 'takes no reports') return;
        delay = firstRetryMs;
        await clock.sleep(reportMs, signal);
      } catch (error) {
        if (signal.aborted) break;
        const failure = error instanceof MinerError ? error : new MinerError('E-MONITOR', messageOf(error));
        enter('degraded', failure.message);
        log.warn({ url: current.url, retryMs: delay }, failure.message);
        onFirst(failure);
        await clock.sleep(delay * (0.75 + random() / 2), signal);
        delay = Math.min(longestRetryMs, 2 * delay);
      }
    }
    onFirst(new MinerError('E-MONITOR', 'monitoring was ended before it had begun'));
  }

  async function begin(url: string): Promise<Outcome> {
    enter('starting');
    const { promise, resolve } = Promise.withResolvers<Outcome | MinerError>();
    const current: Session = { url, ending: new AbortController(), told: undefined, loop: Promise.resolve() };
    session = current;
    current.loop = run(current, resolve);
    const outcome = await promise;
    if (outcome instanceof MinerError) throw outcome;
    return outcome;
  }

  async function end(current: Session): Promise<void> {
    current.ending.abort();
    await current.loop;
    if (session === current) session = undefined;
  }

  async function start(url: string): Promise<string> {
    if (session && status.state === 'running') throw new MinerError('E-IN-USE', 'monitoring is running already');
    if (session) await end(session);
    await urlFile.write(url);
    const outcome = await begin(url);
    log.info({ url, outcome }, 'monitoring started');
    return outcome === 'reported'
      ? 'Monitoring started'
      : 'Monitoring started: this control plane takes no reports, it reads the cluster itself';
  }

  async function stop(): Promise<string> {
    const current = session;
    if (!current) throw new MinerError('E-IN-USE', 'monitoring was not started');
    const reported = current.told !== undefined;
    await end(current);
    const farewell = monitorAt(current.url, new AbortController().signal);
    const problem = reported ? await farewell.unregister().then(() => undefined, messageOf) : undefined;
    await forget(current, null);
    if (problem !== undefined) log.warn({ url: current.url }, problem);
    return problem === undefined
      ? 'Monitoring stopped'
      : `Monitoring stopped, but not at the control plane: ${problem}`;
  }

  async function resume(): Promise<void> {
    try {
      const url = await urlFile.read();
      if (url === undefined) return;
      log.info({ url }, 'monitoring goes on');
      // The first report may take long; whoever starts the agent does not wait for it.
      begin(url).catch(() => undefined);
    } catch (error) {
      enter('error', `the file with the control plane's URL cannot be read: ${messageOf(error)}`);
    }
  }

  return {
    status: () => status,
    start: (url) => inTurn(() => start(url)),
    stop: () => inTurn(stop),
    resume: () => inTurn(resume),
    close() {
      // Not in turn: a start that waits for its control plane is ended with it.
      session?.ending.abort();
      return inTurn(async () => {
        if (session) await end(session);
      });
    },
  };
}

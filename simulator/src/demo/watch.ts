// Looks at everything once a second until time is up or somebody asks to stop.

import type { MinerApi } from '@miner/cli/miner-api.ts';
import { messageOf } from '@miner/controller/domain/errors.ts';
import type { Status } from '@miner/controller/roles/status.ts';
import type { DemoFolder } from './folder.ts';
import type { DemoOptions } from './options.ts';
import type { Output } from './output.ts';
import { countLive, type Report, reportOf } from './report.ts';
import type { DemoWorld } from './world.ts';

const lookEveryMs = 1000;
/** Until something is active, so that the time of it is known well. */
const firstLooksMs = 200;
const saveEveryMs = 500;
/** How long past the end a miner that is just starting again is waited for. */
const patienceMs = 10_000;

export interface WatchOptions {
  options: Pick<DemoOptions, 'forMs'>;
  world: DemoWorld;
  api: Pick<MinerApi, 'get'>;
  output: Output;
  folder: Pick<DemoFolder, 'repository' | 'path'>;
  /** Command lines with which the reader goes on. */
  hints: readonly string[];
  /** Wall-clock ms. */
  startedAt: number;
  signal: AbortSignal;
}

export interface Outcome extends Report {
  /** Wall-clock seconds from the start to the first active deployment. */
  firstActiveSeconds: number | undefined;
}

/** The last report, taken when the run ends. Rejects when the miner cannot be asked then. */
export async function watchUntilDone(watch: WatchOptions): Promise<Outcome> {
  const { options, world, output, folder, startedAt, signal } = watch;
  const deadline = options.forMs === undefined ? Number.POSITIVE_INFINITY : startedAt + options.forMs;
  const saving = setInterval(() => world.save(), saveEveryMs);
  let stoppedAt: number | undefined;
  let firstActiveSeconds: number | undefined;
  try {
    for (;;) {
      const over = signal.aborted || Date.now() >= deadline;
      if (over) stoppedAt ??= Date.now();
      try {
        const report = await look(watch);
        if (report.deployments.active > 0) firstActiveSeconds ??= (Date.now() - startedAt) / 1000;
        if (over) return { ...report, firstActiveSeconds };
      } catch (error) {
        output.line(
          { type: 'unreachable', message: messageOf(error) },
          `the miner does not answer: ${messageOf(error)}`,
        );
      }
      if (stoppedAt !== undefined && Date.now() - stoppedAt > patienceMs) {
        throw new Error(`the miner did not answer any more; see ${folder.path}/miner.log`);
      }
      const every = firstActiveSeconds === undefined ? firstLooksMs : lookEveryMs;
      await pause(Math.min(every, Math.max(100, deadline - Date.now())), signal);
    }
  } finally {
    clearInterval(saving);
  }
}

async function look({ world, api, output, folder, hints }: WatchOptions): Promise<Report> {
  const status = (await api.get('/status')) as Status;
  const { score, violations } = world.validator.stats();
  const report = reportOf(status, await countLive(folder.repository), score, [
    ...violations,
    ...world.cluster.violations(),
  ]);
  output.look({ status, report, elapsed: world.elapsedMs() / 1000, speed: world.state.speed, hints });
  return report;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    const timer = setTimeout(done, signal.aborted ? 100 : ms);
    signal.addEventListener('abort', done);
  });
}

// One hour's report: built and kept, committed on chain, uploaded. Each step is done once; after a crash or a failure the next run goes on
// with the first step that is not recorded, on the bytes that were kept.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { Store } from '../domain/ports.ts';
import type { Random } from '../domain/random.ts';
import { dueHours, hourMs, hourName, lastFullHour } from './hours.ts';
import { metricsOrMessage, type ReadMetrics } from './metrics.ts';
import { type Commitment, type Records, sha256Of } from './records.ts';
import { buildReport } from './report.ts';
import { retry } from './retry.ts';
import { maySucceedLater, type Uploader } from './upload.ts';

export interface ChainCommitter {
  /**
   * Put the hash (lower-case hex) on chain and wait for its block. A hash that is this miner's newest commitment already is not put there
   * again: its block is the answer. Rejects with E-CHAIN; `permanent` in its detail says that trying again at once is of no use.
   */
  commit(sha256: string): Promise<{ block: number }>;
}

export interface ExporterParts {
  /** Address (ss58) of the hotkey. */
  miner: string;
  store: Pick<Store, 'auditRows'>;
  /** Undefined where there is no Prometheus. */
  readMetrics: ReadMetrics | undefined;
  records: Records;
  /** `none`: reports are uploaded without a commitment. Undefined: not configured, so nothing is uploaded. */
  committer: ChainCommitter | 'none' | undefined;
  uploaders: readonly Uploader[];
  clock: Clock;
  random: Random;
  log: Pick<Logger, 'info' | 'warn' | 'error'>;
}

export interface HourOutcome {
  hour: number;
  /** `kept`: there is a report, but no way to commit it. */
  state: 'uploaded' | 'kept' | 'failed';
  /** The step that failed, and why. */
  failed?: { step: 'report' | 'commit' | 'upload'; problem: string };
}

const commitTries = { attempts: 12, waitMs: 10_000 };
const uploadTries = { attempts: 6, waitMs: 10_000 };
const metricsTries = { attempts: 3, waitMs: 5_000 };
/** How long what is done is kept. */
const keptMs = 30 * 24 * hourMs;

function isPassing(error: unknown): boolean {
  return !(error instanceof MinerError && error.detail?.permanent === true);
}

export interface Exporter {
  /** Take one hour as far as it goes. Never rejects. */
  exportHour(hour: number): Promise<HourOutcome>;
  /** All hours that are due, oldest first; those after a failed commitment wait for it. Never rejects but for E-STORE of the records. */
  exportDue(backfill: number): Promise<HourOutcome[]>;
}

export function createExporter(parts: ExporterParts): Exporter {
  const { miner, store, readMetrics, records, committer, uploaders, clock, random, log } = parts;

  function trying(hour: number, what: string, worthwhile: (error: unknown) => boolean) {
    function onFailure(error: unknown, attempt: number): void {
      log.warn({ hour: hourName(hour), attempt, reason: messageOf(error) }, `${what} failed`);
    }
    return { clock, random, worthwhile, onFailure };
  }

  async function report(hour: number): Promise<Buffer> {
    const kept = await records.report(hour);
    if (kept) return kept;
    if (await records.commitment(hour)) {
      throw new MinerError('E-STORE', `the report of ${hourName(hour)} is lost, but its hash was committed`);
    }
    const end = hour + hourMs;
    const again = trying(hour, 'reading the metrics', () => true);
    const read = readMetrics && ((at: number) => retry({ ...metricsTries, ...again }, () => readMetrics(at)));
    const metrics = await metricsOrMessage(read, end);
    const body = buildReport({ miner, hour, rows: await store.auditRows(hour, end), metrics });
    await records.saveReport(hour, body);
    return body;
  }

  async function commitment(hour: number, body: Buffer, by: ChainCommitter | 'none'): Promise<Commitment> {
    const sha256 = sha256Of(body);
    const made = await records.commitment(hour);
    if (made && made.sha256 !== sha256) {
      throw new MinerError('E-STORE', `the report of ${hourName(hour)} was changed after its hash was committed`);
    }
    if (made) return made;
    if (by === 'none') return { sha256, block: undefined };
    const again = trying(hour, 'committing the hash', isPassing);
    const { block } = await retry({ ...commitTries, ...again }, () => by.commit(sha256));
    await records.saveCommitment(hour, { sha256, block });
    log.info({ hour: hourName(hour), sha256, block }, 'hash committed');
    return { sha256, block };
  }

  async function upload(hour: number, body: Buffer, block: number | undefined): Promise<void> {
    const taken = await records.uploads(hour);
    const failures: unknown[] = [];
    for (const uploader of uploaders.filter(({ url }) => !taken.has(url))) {
      try {
        const again = trying(hour, `uploading to ${uploader.url}`, maySucceedLater);
        const answer = await retry({ ...uploadTries, ...again }, () => uploader.upload(body, block));
        await records.saveUpload(hour, uploader.url, answer);
        log.info({ hour: hourName(hour), url: uploader.url, bytes: body.length }, 'report uploaded');
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new Error(failures.map(messageOf).join('; '));
  }

  async function exportHour(hour: number): Promise<HourOutcome> {
    let step: 'report' | 'commit' | 'upload' = 'report';
    try {
      const body = await report(hour);
      if (!committer) {
        log.warn(
          { hour: hourName(hour) },
          'the report is kept, but neither committed nor uploaded: no chain is configured',
        );
        return { hour, state: 'kept' };
      }
      step = 'commit';
      const { block } = await commitment(hour, body, committer);
      step = 'upload';
      await upload(hour, body, block);
      return { hour, state: 'uploaded' };
    } catch (error) {
      log.error({ hour: hourName(hour), step, reason: messageOf(error) }, 'the hour waits for the next run');
      return { hour, state: 'failed', failed: { step, problem: messageOf(error) } };
    }
  }

  async function isDone(hour: number): Promise<boolean> {
    const taken = await records.uploads(hour);
    return uploaders.every(({ url }) => taken.has(url));
  }

  async function exportDue(backfill: number): Promise<HourOutcome[]> {
    const last = lastFullHour(clock.now());
    const begun = await records.hours();
    const done = new Set<number>();
    for (const hour of begun) if (await isDone(hour)) done.add(hour);
    const outcomes: HourOutcome[] = [];
    for (const hour of dueHours({ last, begun, done, backfill })) {
      const outcome = await exportHour(hour);
      outcomes.push(outcome);
      // A transaction that may still be on its way must not be overtaken by the next one.
      if (outcome.failed?.step === 'commit') break;
    }
    await records.prune(clock.now() - keptMs);
    return outcomes;
  }

  return { exportHour, exportDue };
}

// Role `audit-exporter`: runs once an hour, takes every report that is due as far as it goes, and ends.

import pino, { type Logger } from 'pino';
import { createCommitter } from '../audit/chain.ts';
import { createExporter, type ExporterParts, type HourOutcome } from '../audit/export.ts';
import { hourName, parseHour } from '../audit/hours.ts';
import { prometheusMetrics } from '../audit/metrics.ts';
import { openRecords } from '../audit/records.ts';
import { createUploader } from '../audit/upload.ts';
import { type Clock, systemClock } from '../domain/clock.ts';
import { MinerError } from '../domain/errors.ts';
import { systemRandom } from '../domain/random.ts';
import { loadHotkey } from '../signing/hotkey.ts';
import { openStore } from '../store/open.ts';
import { databaseUrl } from '../store/url.ts';
import { type OptionValues, optional, type Role, required, wholeNumber } from './role.ts';

export interface AuditOptions {
  hotkeyFile: string;
  postgres: string;
  /** Keeps the reports and how far each has come. */
  dir: string;
  /** Base URLs of the validators that take reports. */
  apis: readonly string[];
  prometheus: string | undefined;
  /** WebSocket URL of a node; `none`: upload without a commitment; undefined: keep the reports only. */
  chain: string | 'none' | undefined;
  netuid: number;
  /** Only this one, ms; undefined: all that are due. */
  hour: number | undefined;
  /** Hours to look back for missed ones. */
  backfill: number;
  clock?: Clock;
  log?: Logger;
}

/** Outcomes of the hours that were due, oldest first. Rejects with E-HOTKEY or E-STORE before anything was exported. */
async function runAuditExporter(options: AuditOptions): Promise<HourOutcome[]> {
  const { chain, netuid, clock = systemClock, log = pino() } = options;
  const signer = await loadHotkey(options.hotkeyFile);
  try {
    const store = await openStore({ url: options.postgres });
    try {
      const committer: ExporterParts['committer'] =
        chain === undefined || chain === 'none' ? chain : createCommitter({ endpoint: chain, netuid, signer });
      const exporter = createExporter({
        miner: signer.address,
        store,
        readMetrics: options.prometheus === undefined ? undefined : prometheusMetrics(options.prometheus),
        records: openRecords(options.dir),
        committer,
        uploaders: options.apis.map((api) => createUploader({ api, signer, clock })),
        clock,
        random: systemRandom,
        log,
      });
      return options.hour === undefined
        ? await exporter.exportDue(options.backfill)
        : [await exporter.exportHour(options.hour)];
    } finally {
      await store.close();
    }
  } finally {
    signer.close();
  }
}

function urls(values: OptionValues, name: string, schemes: RegExp): string[] {
  const found = required(values, name).split(',');
  for (const url of found) {
    if (!URL.canParse(url) || !schemes.test(url)) {
      throw new MinerError('E-USAGE', `--${name}: found "${url}", allowed: a URL that fits ${schemes.source}`);
    }
  }
  return found;
}

function readOptions(values: OptionValues): AuditOptions {
  const hour = optional(values, 'hour');
  const backfill = wholeNumber(values, 'backfill', { min: 1, max: 168 });
  const chain = values.chain === undefined ? undefined : urls(values, 'chain', /^wss?:/)[0];
  if (chain !== undefined && values['no-chain'])
    throw new MinerError('E-USAGE', '--chain and --no-chain exclude each other');
  const postgres = databaseUrl({
    url: optional(values, 'postgres'),
    file: optional(values, 'postgres-file'),
    env: process.env,
  });
  if (postgres === undefined) {
    throw new MinerError('E-USAGE', '--postgres, --postgres-file or environment variable POSTGRESQL is missing');
  }
  return {
    hotkeyFile: required(values, 'hotkey'),
    postgres,
    dir: required(values, 'dir'),
    apis: urls(values, 'api', /^https?:/),
    prometheus: values.prometheus === undefined ? undefined : urls(values, 'prometheus', /^https?:/)[0],
    chain: values['no-chain'] ? 'none' : chain,
    netuid: wholeNumber(values, 'netuid'),
    hour: hour === undefined ? undefined : parseHour(hour, systemClock.now()),
    backfill,
  };
}

const codes = { report: 'E-STORE', commit: 'E-CHAIN', upload: 'E-VALIDATOR' } as const;

/** Throws, so that the process ends with 1, when an hour could not be finished. */
function demandAll(outcomes: readonly HourOutcome[]): void {
  const failures = outcomes.flatMap(({ hour, failed }) => (failed ? [{ name: hourName(hour), ...failed }] : []));
  const [first] = failures;
  if (!first) return;
  const list = failures.map(({ name, step, problem }) => `${name} (${step}: ${problem})`).join(', ');
  throw new MinerError(codes[first.step], `not finished, to be tried by the next run: ${list}`);
}

export const role: Role = {
  summary:
    'Reports each full hour to the validator: kept, its hash committed on chain, uploaded. Run it once an hour; it ends by itself.',
  help: `  --hotkey FILE        hotkey of the miner (wallet JSON)
  --postgres URL       the miner's database; everybody on the machine can read a command line
  --postgres-file FILE file that holds that URL (or environment POSTGRESQL)
  --dir FOLDER         keeps the reports and how far each has come (default: /var/lib/chutes/audit)
  --api URL[,URL…]     validators that take the reports (default: https://api.chutes.ai)
  --prometheus URL     where the invocations are counted; without it the report says that it has no metrics
  --chain URL          node of the chain (ws or wss) where the hash is committed; without it reports are kept and not uploaded
  --netuid N           subnet (default: 64)
  --no-chain           upload without a commitment, as of block 0
  --hour TIME          this hour of UTC only, such as 2026-11-22T15 (default: the last one, and those that were missed)
  --backfill N         how many hours back missed ones are filled (default: 24)`,
  options: {
    hotkey: { type: 'string' },
    postgres: { type: 'string' },
    'postgres-file': { type: 'string' },
    dir: { type: 'string', default: '/var/lib/chutes/audit' },
    api: { type: 'string', default: 'https://api.chutes.ai' },
    prometheus: { type: 'string' },
    chain: { type: 'string' },
    netuid: { type: 'string', default: '64' },
    'no-chain': { type: 'boolean', default: false },
    hour: { type: 'string' },
    backfill: { type: 'string', default: '24' },
  },
  async start(values) {
    demandAll(await runAuditExporter(readOptions(values)));
    return undefined;
  },
};

// Role `cache-cleaner`: keeps the cache of models on a GPU server within its limits. Before a chute starts, as its init container, it goes by
// what the cleaner on the node wrote down last; on the node it asks the cluster what runs.

import { type CleanReport, cleanCache } from '../cachecleaner/clean.ts';
import { openLedger, prepareChute } from '../cachecleaner/ledger.ts';
import { readLiveChutes } from '../cachecleaner/livechutes.ts';
import type { Limits } from '../cachecleaner/plan.ts';
import { systemClock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { isUuid } from '../domain/ids.ts';
import { startLoop } from './loop.ts';
import { type OptionValues, optional, type Role, type RunningRole, wholeNumber } from './role.ts';

const gb = 1024 ** 3;
const unitMs: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export interface CleanerOptions {
  root: string;
  /** The one about to start; undefined: the cleaner of the node. */
  chuteId: string | undefined;
  /** What runs on the node; undefined: what was written down last. Rejects when it cannot be known. */
  look: (() => Promise<ReadonlySet<string>>) | undefined;
  limits: Limits;
  pinned: ReadonlySet<string>;
  timeLimitMs: number;
  adopt: boolean;
  /** Nothing is written. */
  dryRun: boolean;
  signal?: AbortSignal;
}

/** One pass. Rejects with E-USAGE, E-CACHE or E-CLUSTER. */
export async function runCleaner(options: CleanerOptions): Promise<CleanReport> {
  const { root, chuteId, look, adopt, dryRun } = options;
  const ledger = openLedger(root, { adopt, dryRun });
  try {
    if (chuteId !== undefined) ledger.noteStart(chuteId, systemClock.now());
    const lookedAt = systemClock.now();
    if (look) ledger.noteSeen(await look(), lookedAt);
    return await cleanCache({ ...options, ledger, clock: systemClock });
  } finally {
    ledger.close();
  }
}

function size(bytes: number): string {
  return `${(bytes / gb).toFixed(1)} GB`;
}

/** One line. */
export function summaryOf(report: CleanReport): string {
  const { dryRun, removed, kept, failures } = report;
  const freed = report.bytes - report.bytesLeft;
  const keeping = Object.entries(kept).map(([why, n]) => `${n} ${why}`);
  const parts = [
    `cache: ${size(report.bytes)} in ${report.items} models`,
    `${dryRun ? 'would remove' : 'removed'} ${removed.length} (${size(freed)})`,
    `${size(report.bytesLeft)} left, ${size(report.freeBytes)} free on disk`,
    ...(keeping.length > 0 ? [`kept: ${keeping.join(', ')}`] : []),
    ...(report.seenAt === undefined ? ['nobody looked at the node yet, so every chute counts as in use'] : []),
    ...(report.complete ? [] : ['the time was over, the next run goes on']),
    ...(report.met || !report.complete ? [] : ['the limits are NOT met']),
    ...failures.slice(0, 3).map(({ path, problem }) => `${path} ${problem}`),
    ...(failures.length > 3 ? [`and ${failures.length - 3} more problems`] : []),
  ];
  return parts.join('; ');
}

function print(report: CleanReport, json: boolean): void {
  console.log(json ? JSON.stringify(report) : summaryOf(report));
}

function list(values: OptionValues, name: string): string[] {
  return (optional(values, name) ?? '').split(',').filter((one) => one !== '');
}

function chuteIds(values: OptionValues, name: string): string[] {
  const found = list(values, name);
  for (const id of found)
    if (!isUuid(id)) throw new MinerError('E-USAGE', `--${name}: found "${id}", allowed: ids of chutes`);
  return found;
}

function duration(values: OptionValues, name: string): number | undefined {
  const text = optional(values, name);
  if (text === undefined) return undefined;
  const [, amount, unit = ''] = /^([1-9]\d{0,4})([smhd])$/.exec(text) ?? [];
  if (amount !== undefined) return Number(amount) * (unitMs[unit] ?? 0);
  throw new MinerError('E-USAGE', `--${name}: found "${text}", allowed: a number with s, m, h or d, for example 6h`);
}

/** As the Job of a chute has set them since before this role. */
function withEnvironment(values: OptionValues, env: NodeJS.ProcessEnv): OptionValues {
  const onNode = ['every', 'in-use', 'kubeconfig'].some((name) => values[name] !== undefined);
  return {
    ...values,
    root: values.root ?? env.HF_HOME ?? '/cache',
    chute: values.chute ?? (onNode ? undefined : env.CLEANUP_EXCLUDE),
    'max-size-gb': values['max-size-gb'] ?? env.CACHE_MAX_SIZE_GB ?? '500',
    'max-age-days': values['max-age-days'] ?? env.CACHE_MAX_AGE_DAYS ?? '30',
  };
}

async function lookOf(values: OptionValues): Promise<CleanerOptions['look']> {
  if (values['in-use'] !== undefined) {
    const inUse = new Set(chuteIds(values, 'in-use'));
    return async () => inUse;
  }
  // Loaded here only: every start of a chute waits for this role, and there no cluster is asked.
  const [{ createKube }, { nodeCluster }] = await Promise.all([
    import('../agent/kube.ts'),
    import('../registry/imagewatch.ts'),
  ]);
  const kube = createKube(nodeCluster(optional(values, 'kubeconfig')));
  return () => readLiveChutes(kube.get);
}

async function readOptions(values: OptionValues): Promise<CleanerOptions> {
  const [chuteId] = chuteIds(values, 'chute');
  for (const name of ['every', 'in-use', 'kubeconfig']) {
    if (chuteId === undefined || values[name] === undefined) continue;
    throw new MinerError('E-USAGE', `--chute and --${name} exclude each other`);
  }
  return {
    root: optional(values, 'root') ?? '',
    chuteId,
    look: chuteId === undefined ? await lookOf(values) : undefined,
    limits: {
      maxBytes: wholeNumber(values, 'max-size-gb', { min: 1 }) * gb,
      minFreeBytes: wholeNumber(values, 'min-free-gb') * gb,
      maxAgeMs: wholeNumber(values, 'max-age-days', { min: 1 }) * 86_400_000,
    },
    pinned: new Set(list(values, 'pin')),
    timeLimitMs: duration(values, 'limit') ?? (chuteId === undefined ? 1_800_000 : 30_000),
    adopt: values.adopt === true,
    dryRun: values['dry-run'] === true,
  };
}

interface ChuteStart {
  chuteId: string;
  uid: number;
  /** Its folder is made and its start noted, as without; what would go is told only. */
  tellOnly: boolean;
}

/** Makes its folder, without which it cannot start; that its cache could not be cleaned is no reason for it not to. */
async function runBeforeChute(options: CleanerOptions, chute: ChuteStart, json: boolean): Promise<void> {
  const { chuteId, uid, tellOnly } = chute;
  const { root, adopt, dryRun } = options;
  if (!dryRun) prepareChute(root, chuteId, uid, options);
  try {
    if (tellOnly && !dryRun) noteStart(root, chuteId, adopt);
    print(await runCleaner({ ...options, dryRun: dryRun || tellOnly }), json);
  } catch (error) {
    console.error(`not cleaned: ${messageOf(error)}`);
  }
}

/** So that a later pass that does remove knows of it. */
function noteStart(root: string, chuteId: string, adopt: boolean): void {
  const ledger = openLedger(root, { adopt });
  try {
    ledger.noteStart(chuteId, systemClock.now());
  } finally {
    ledger.close();
  }
}

async function runEvery(intervalMs: number, options: CleanerOptions, json: boolean): Promise<RunningRole> {
  const stopping = new AbortController();
  openLedger(options.root, options).close();
  const loop = startLoop({
    clock: systemClock,
    intervalMs,
    settleMs: 0,
    async pass() {
      print(await runCleaner({ ...options, signal: stopping.signal }), json);
      return false;
    },
    onError: (error) => console.error(`not cleaned, tried again soon: ${messageOf(error)}`),
  });
  return {
    async stop() {
      stopping.abort();
      await loop.stop();
    },
  };
}

export const role: Role = {
  summary: 'Keeps the cache of models on a GPU server within its limits; never touches what a running chute uses.',
  help: `  --root FOLDER        the cache: a folder for each chute (default: environment HF_HOME, or /cache)
  --chute ID           run before this chute starts: makes its folder, then cleans (default: environment CLEANUP_EXCLUDE)
  --uid N              user of the chute, who gets that folder (default: 1000)
  --kubeconfig FILE    without --chute: cluster that is asked which chutes run (default: that of the pod's service account)
  --in-use ID[,ID…]    without --chute: these run, and no other; no cluster is asked
  --max-size-gb N      what was used longest ago goes while the cache is larger; GB of 1024³ bytes (default: CACHE_MAX_SIZE_GB, or 500)
  --min-free-gb N      … or while less is free on the disk (default: 0)
  --max-age-days N     what was not used for so long goes in any case (default: CACHE_MAX_AGE_DAYS, or 30)
  --pin NAME[,NAME…]   chutes (ids) and models (org/name) that stay
  --limit TIME         longest time to clean, such as 90s (default: 30s with --chute, otherwise 30m)
  --every TIME         go on cleaning at this interval, such as 6h, until SIGTERM
  --dry-run            change nothing, tell what would go (CACHE_DRY_RUN=true before a chute: only the chute's own folder is made)
  --adopt              take a folder that does not look like a cache of chutes
  -o, --output FORMAT  text: one line for each pass; json: one object (default: text)`,
  options: {
    root: { type: 'string' },
    chute: { type: 'string' },
    uid: { type: 'string', default: '1000' },
    kubeconfig: { type: 'string' },
    'in-use': { type: 'string' },
    'max-size-gb': { type: 'string' },
    'min-free-gb': { type: 'string', default: '0' },
    'max-age-days': { type: 'string' },
    pin: { type: 'string' },
    limit: { type: 'string' },
    every: { type: 'string' },
    'dry-run': { type: 'boolean', default: false },
    adopt: { type: 'boolean', default: false },
    output: { type: 'string', short: 'o', default: 'text' },
  },
  async start(given) {
    const values = withEnvironment(given, process.env);
    const options = await readOptions(values);
    const every = duration(values, 'every');
    const uid = wholeNumber(values, 'uid', { max: 2 ** 32 - 2 });
    if (values.output !== 'text' && values.output !== 'json')
      throw new MinerError('E-USAGE', `--output: found "${values.output}", allowed: text, json`);
    const json = values.output === 'json';
    if (every !== undefined) return runEvery(every, options, json);
    if (options.chuteId === undefined) print(await runCleaner(options), json);
    else {
      const tellOnly = process.env.CACHE_DRY_RUN === 'true';
      await runBeforeChute(options, { chuteId: options.chuteId, uid, tellOnly }, json);
    }
    return undefined;
  },
};

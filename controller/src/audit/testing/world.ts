// biome-ignore-all lint/style/noRestrictedImports: only tests use this file
// What an exporter has around it, for tests: a validator that checks signatures over real HTTP, a chain that only counts, a folder, and a
// way to crash at any point.

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MinerError } from '../../domain/errors.ts';
import type { AuditRow } from '../../domain/ports.ts';
import { bodyHash } from '../../signing/sign.ts';
import { createSigner, verifySignature } from '../../signing/sr25519.ts';
import { type ChainCommitter, createExporter, type Exporter, type ExporterParts } from '../export.ts';
import { openRecords, type Records } from '../records.ts';
import { createUploader } from '../upload.ts';

export const signer = createSigner(
  Buffer.from('e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a', 'hex'),
);
export const hour = Date.parse('2026-11-22T15:00:00Z');

export interface TakenUpload {
  body: string;
  headers: IncomingMessage['headers'];
}

export interface AuditValidator {
  api: string;
  /** Uploads whose signature fits their bytes. */
  taken: TakenUpload[];
  asked: number;
  /** Statuses of the next answers, used up one by one; 200 after that. */
  statuses: number[];
  close(): Promise<void>;
}

export async function startValidator(now: () => number): Promise<AuditValidator> {
  const validator: AuditValidator = { api: '', taken: [], asked: 0, statuses: [], close: async () => undefined };
  const server = createServer(async (request, response) => {
    validator.asked += 1;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const { headers, method, url } = request;
    const nonce = String(headers['x-chutes-nonce']);
    const message = `${signer.address}:${nonce}:${bodyHash(body)}`;
    const signature = Buffer.from(String(headers['x-chutes-signature']), 'hex');
    const fits = verifySignature(signature, message, signer.publicKey) && Math.abs(now() / 1000 - Number(nonce)) < 600;
    const status = validator.statuses.shift() ?? 200;
    if (method !== 'POST' || url !== '/audit/miner_data') return response.writeHead(404).end();
    if (!fits || headers['x-chutes-hotkey'] !== signer.address) return response.writeHead(401).end('{"detail":"no"}');
    if (status === 0) return request.socket.destroy();
    if (status === 200) validator.taken.push({ body: body.toString(), headers });
    response.writeHead(status).end(JSON.stringify({ entry_id: `e${validator.taken.length}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  validator.api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  validator.close = () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return validator;
}

export interface Ledger extends ChainCommitter {
  /** Hashes in blocks, oldest first. */
  commits: string[];
  calls: number;
  /** Reject so many of the next calls. */
  failing: number;
}

/** Keeps the promise of a committer: the newest hash is not committed again. */
export function makeLedger(): Ledger {
  const ledger: Ledger = {
    commits: [],
    calls: 0,
    failing: 0,
    async commit(sha256) {
      ledger.calls += 1;
      if (ledger.failing > 0) {
        ledger.failing -= 1;
        throw new MinerError('E-CHAIN', 'no node answers');
      }
      if (ledger.commits.at(-1) !== sha256) ledger.commits.push(sha256);
      return { block: 1000 + ledger.commits.length };
    },
  };
  return ledger;
}

export const row: AuditRow = {
  deploymentId: 'd1',
  validator: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
  chuteId: 'c1',
  version: 'v1',
  instanceId: 'i1',
  createdAt: hour - 60_000,
  verifiedAt: hour + 1_234,
  deletedAt: undefined,
};

export function makeClock(ms: number) {
  return {
    ms,
    sleeps: [] as number[],
    now(): number {
      return this.ms;
    },
    async sleep(duration: number): Promise<void> {
      this.sleeps.push(duration);
      this.ms += duration;
    },
  };
}

export interface World {
  dir: string;
  clock: ReturnType<typeof makeClock>;
  validator: AuditValidator;
  ledger: Ledger;
  rows: AuditRow[];
}

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Nothing happens any more once it has fired: as after a crash of the process. */
export interface Crash {
  /** Steps until it fires. */
  after: number;
  /** Steps that were begun. */
  steps: string[];
}

function withCrash<T extends object>(target: T, methods: readonly (keyof T & string)[], crash: Crash): T {
  const copy = { ...target };
  for (const name of methods) {
    const original = target[name] as (...args: unknown[]) => Promise<unknown>;
    copy[name] = (async (...args: unknown[]) => {
      function point(what: string): void {
        crash.steps.push(what);
        if (crash.steps.length > crash.after)
          throw new MinerError('E-STORE', `crashed ${what}`, { detail: { permanent: true } });
      }
      point(`before ${name}`);
      const result = await original(...args);
      point(`after ${name}`);
      return result;
    }) as T[typeof name];
  }
  return copy;
}

export function exporterIn(world: World, change: Partial<ExporterParts> = {}, crash?: Crash): Exporter {
  const { clock } = world;
  let records: Records = openRecords(world.dir);
  let committer: ChainCommitter = world.ledger;
  let uploader = createUploader({ api: world.validator.api, signer, clock });
  if (crash) {
    records = withCrash(records, ['saveReport', 'saveCommitment', 'saveUpload'], crash);
    committer = withCrash(committer, ['commit'], crash);
    uploader = withCrash(uploader, ['upload'], crash);
  }
  return createExporter({
    miner: signer.address,
    store: { auditRows: async () => world.rows },
    readMetrics: undefined,
    records,
    committer,
    uploaders: [uploader],
    clock,
    random: () => 0.5,
    log: silent,
    ...change,
  });
}

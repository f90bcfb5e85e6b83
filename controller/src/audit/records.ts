// What is known of each hour, in a folder: the report, its commitment, its uploads. A file appears whole or not at all and is on the disk
// when its write resolves; a report is never written twice. One exporter at a time.

import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { MinerError, messageOf } from '../domain/errors.ts';
import { hourName } from './hours.ts';

export interface Commitment {
  /** Lower-case hex hash of the report's bytes. */
  sha256: string;
  /** Number of the block that holds it; undefined for a miner that commits nothing on chain. */
  block: number | undefined;
}

export interface Records {
  /** Hours with a report, oldest first. */
  hours(): Promise<number[]>;
  report(hour: number): Promise<Buffer | undefined>;
  saveReport(hour: number, body: Buffer): Promise<void>;
  commitment(hour: number): Promise<Commitment | undefined>;
  saveCommitment(hour: number, commitment: Commitment): Promise<void>;
  /** URLs that took the report. */
  uploads(hour: number): Promise<ReadonlySet<string>>;
  /** With what the receiver answered. */
  saveUpload(hour: number, url: string, answer: unknown): Promise<void>;
  /** Forget hours before this one. Returns how many files went. */
  prune(before: number): Promise<number>;
}

export function sha256Of(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex');
}

const commitmentFile = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  block: z.int().nonnegative().optional(),
});
const uploadsFile = z.record(z.string(), z.unknown());
const fileName = /^(\d{4}-\d\d-\d\dT\d\d)\.(report|commitment|uploads)\.json$/;

function hourOf(name: string | undefined): number {
  return Date.parse(`${name}:00:00Z`);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** `dir` is made if it does not exist. Everything rejects with E-STORE when the folder cannot be used. */
export function openRecords(dir: string): Records {
  const pathOf = (hour: number, kind: string) => join(dir, `${hourName(hour)}.${kind}.json`);

  async function guarded<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw new MinerError('E-STORE', `${what} in folder ${dir} failed: ${messageOf(error)}`, { cause: error });
    }
  }

  function read(hour: number, kind: string): Promise<Buffer | undefined> {
    return guarded(`reading the ${kind} of ${hourName(hour)}`, async () => {
      try {
        return await readFile(pathOf(hour, kind));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    });
  }

  function write(hour: number, kind: string, content: Buffer | string): Promise<void> {
    return guarded(`writing the ${kind} of ${hourName(hour)}`, async () => {
      const path = pathOf(hour, kind);
      await mkdir(dir, { recursive: true });
      const file = await open(`${path}.new`, 'w', 0o600);
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
      const folder = await open(dir);
      await folder.sync().finally(() => folder.close());
    });
  }

  async function parsed<T>(hour: number, kind: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const content = await read(hour, kind);
    if (content === undefined) return undefined;
    return guarded(`reading the ${kind} of ${hourName(hour)}`, async () =>
      schema.parse(JSON.parse(content.toString())),
    );
  }

  function names(): Promise<string[]> {
    return guarded('listing', () => readdir(dir).catch((error) => (isMissing(error) ? [] : Promise.reject(error))));
  }

  async function commitment(hour: number): Promise<Commitment | undefined> {
    const found = await parsed(hour, 'commitment', commitmentFile);
    return found && { sha256: found.sha256, block: found.block };
  }

  const uploaded = async (hour: number) => (await parsed(hour, 'uploads', uploadsFile)) ?? {};

  return {
    async hours() {
      const found = (await names()).map((name) => fileName.exec(name)).filter((match) => match?.[2] === 'report');
      return found.map((match) => hourOf(match?.[1])).sort((a, b) => a - b);
    },
    report: (hour) => read(hour, 'report'),
    async saveReport(hour, body) {
      if (await read(hour, 'report')) throw new MinerError('E-STORE', `the report of ${hourName(hour)} exists already`);
      await write(hour, 'report', body);
    },
    commitment,
    saveCommitment: (hour, made) => write(hour, 'commitment', JSON.stringify(made)),
    uploads: async (hour) => new Set(Object.keys(await uploaded(hour))),
    saveUpload: async (hour, url, answer) =>
      write(hour, 'uploads', JSON.stringify({ ...(await uploaded(hour)), [url]: answer ?? null }, null, 1)),
    async prune(before) {
      const old = (await names()).filter((name) => hourOf(fileName.exec(name)?.[1]) < before);
      await guarded('removing old files', async () => {
        for (const name of old) await rm(join(dir, name), { force: true });
      });
      return old.length;
    },
  };
}

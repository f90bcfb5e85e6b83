// A writer in a process of its own, to be killed: goes on from whatever it finds, notes in its journal what it asks for and what it is
// told, and says `ready` when it is open. Arguments: the job as JSON.

import { join } from 'node:path';
import { systemClock } from '../../domain/clock.ts';
import { openClusterRepo } from '../clusterrepo.ts';
import { openJournal, readJournal } from './journal.ts';
import { soak } from './soak.ts';
import { optionsFor } from './testrepo.ts';

export interface WriterJob {
  /** Temporary folder; the store is `killed.git` in it, the journal `journal`. */
  dir: string;
  url: string;
  credentialFile: string;
  forMs: number;
  decisionsPerSecond: number;
}

export const storeName = 'killed.git';

async function write(job: WriterJob): Promise<void> {
  const { dir, url, credentialFile, forMs, decisionsPerSecond } = job;
  const path = join(dir, 'journal');
  const journal = openJournal(path);
  const repo = await openClusterRepo({
    ...optionsFor(dir),
    dir: join(dir, storeName),
    clock: systemClock,
    remote: { url, credentialFile, everyMs: 500 },
    onProblem: (problem) => process.stderr.write(`${problem}\n`),
  });
  process.stdout.write('ready\n');
  const { made: madeBefore } = readJournal(path);
  const tidying = setInterval(
    () => void repo.tidy().catch((error: unknown) => process.emitWarning(String(error))),
    2_000,
  );
  await soak({ repo, journal, forMs, decisionsPerSecond, madeBefore });
  clearInterval(tidying);
  await repo.close();
}

const job = process.argv[2];
if (process.argv[1] === import.meta.filename && job) await write(JSON.parse(job) as WriterJob);

// The git writer for minutes: 100 decisions per second, a person pushing to both branches every 2 s, the store packed meanwhile. Ends with
// an error unless every decision landed once or was superseded, no push of the person's is lost and git finds no fault. Usage: git-soak.ts [minutes]

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { startCompetitor } from '@miner/controller/clusterrepo/testing/competitor.ts';
import { historyProblems, openJournal, readJournal } from '@miner/controller/clusterrepo/testing/journal.ts';
import { soak } from '@miner/controller/clusterrepo/testing/soak.ts';
import { makeFleet, print, quantile } from './gitfleet.ts';

const minutes = Number(process.argv[2] ?? 1);
const decisionsPerSecond = 100;
const competitorEveryMs = 2_000;

const fleet = await makeFleet(10, false);
const { repo, host, dir } = fleet;
const git = (gitdir: string, ...args: string[]) =>
  execFileSync('git', ['-C', gitdir, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 }).trim();
const competitor = await startCompetitor({
  clone: join(dir, 'person'),
  url: host.url,
  credential: host.credential,
  everyMs: competitorEveryMs,
});
const tidying = setInterval(() => void repo.tidy(), 20_000);
const journal = join(dir, 'journal');
const result = await soak({ repo, journal: openJournal(journal), forMs: minutes * 60_000, decisionsPerSecond });
clearInterval(tidying);
const pushed = await competitor.stop();
await repo.refresh();

const recorded = readJournal(journal);
const problems = historyProblems(host.gitdir, recorded);
const unanswered = recorded.asked.size - recorded.landed.size;
const notes = git(host.gitdir, 'log', '--format=%s', 'main', 'live')
  .split('\n')
  .filter((line) => /^note /.test(line));
const lostNotes = pushed.main + pushed.live - notes.length;
const store = join(dir, 'gepetto.git');
const faults = [store, host.gitdir].map((gitdir) => git(gitdir, 'fsck', '--full', '--no-dangling')).join('');
const kiB = Number(execFileSync('du', ['-sk', store], { encoding: 'utf8' }).split('\t')[0]);

print('git-soak/decisions', result.decided, 'decisions', minutes);
print('git-soak/superseded', result.superseded, 'decisions', result.decided);
print('git-soak/lost', problems.length + lostNotes, 'changes', result.decided + notes.length);
print('git-soak/failed', unanswered, 'decisions', result.decided);
print('git-soak/largest-batch', result.largestBatch, 'decisions', result.commits);
print('git-soak/conflicts', result.conflicts, 'conflicts', result.commits);
print('git-soak/competing-pushes', notes.length, 'pushes', notes.length);
print('git-soak/p50', quantile(result.latencies, 0.5), 'ms', result.latencies.length);
print('git-soak/p99', quantile(result.latencies, 0.99), 'ms', result.latencies.length);
print('git-soak/store', kiB / 1024, 'MiB', 1);
await fleet.close();
if (problems.length + unanswered + lostNotes > 0 || faults !== '')
  throw new Error(
    `${problems.slice(0, 20).join('\n')}; ${unanswered} not answered, ${lostNotes} notes lost; ${faults}`,
  );

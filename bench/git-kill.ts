// Kill -9 of the git writer at random moments while decisions arrive and people push: what became of every decision, checked against a
// journal. Ends with an error when anything is lost, repeated or left behind. Usage: git-kill.ts [kills]

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { killAgainAndAgain } from '@miner/controller/clusterrepo/testing/killing.ts';
import { makeTestDir } from '@miner/controller/clusterrepo/testing/testrepo.ts';
import { print } from './gitfleet.ts';
import { forkGitHost } from './githost.ts';

const kills = Number(process.argv[2] ?? 100);
const host = await forkGitHost();
const { dir } = makeTestDir();
const credentialFile = join(dir, 'credential');
writeFileSync(credentialFile, host.credential, { mode: 0o600 });
const startedAt = performance.now();
function tell(done: number): void {
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  if (done % 10 === 0) process.stderr.write(`${done} of ${kills} kills after ${seconds} s\n`);
}
const result = await killAgainAndAgain({ dir, host, credentialFile, kills, decisionsPerSecond: 100, onKill: tell });
await host.stop();
rmSync(dir, { recursive: true, force: true });
print('git-kill/acknowledged', result.acknowledged, 'decisions', result.asked);
print('git-kill/while-opening', result.earlyKills, 'kills', kills);
print('git-kill/problems', result.problems.length, 'problems', kills);
if (result.problems.length > 0) throw new Error(result.problems.slice(0, 20).join('\n'));

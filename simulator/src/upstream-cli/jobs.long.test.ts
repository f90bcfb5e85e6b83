// The command line that miners have, unmodified, against the miner API alone, with a server that runs a job: it asks before it goes on.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Context, miner, useApi } from '@miner/controller/api/testing/api.ts';
import { systemClock } from '@miner/controller/domain/clock.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { minerKey } from '../validator/testing.ts';
import { upstreamRunner } from './cli.ts';
import { upstreamCli } from './install.ts';

const cli = await upstreamCli();
const home = mkdtempSync(join(tmpdir(), 'upstream-cli-jobs-'));
const hotkey = join(home, 'hotkey');
writeFileSync(
  hotkey,
  JSON.stringify({
    ss58Address: minerKey.ss58,
    secretSeed: 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a',
  }),
);
const chutesMiner = upstreamRunner(cli, home);
const test = suite<Context>(`chutes-miner-cli ${cli.version} on Python ${cli.python}, jobs`);
useApi(test);
test.after(() => rmSync(home, { recursive: true }));

const commands: [args: string[], what: string, answer: Record<string, unknown>][] = [
  [['delete-node', '--name', 'gpu-0'], 'deleteNode gpu-0', { status: 'started' }],
  [['purge-deployment', '-n', 'gpu-0'], 'undeploy d1', { status: 'initiated' }],
  [['purge-server', '-n', 'uid-gpu-0'], 'undeploy d1', { status: 'initiated' }],
];
for (const [args, what, { status }] of commands) {
  test(`${args.join(' ')} asks while a job runs there; no changes nothing, yes leads to ${what}`, async (context) => {
    assert.is(miner.address, minerKey.ss58);
    const url = await context.start({ clock: systemClock });
    const run = (input: string) => chutesMiner([...args, '--hotkey', hotkey, '--miner-api', url], { input });
    const no = await run('n\n');
    assert.is(no.code, 0, no.output);
    assert.equal(context.done, [], 'nothing is done after a no');
    assert.match(no.stdout, 'Continue (y/n)?');
    assert.match(no.output, /1 jobs running on server \S*gpu-0/);
    const yes = await run('y\n');
    assert.is(yes.code, 0, yes.output);
    assert.equal(context.done, [what]);
    assert.is(JSON.parse(yes.stdout.slice(yes.stdout.indexOf('{'))).status, status);
  });
}

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { killAgainAndAgain } from './testing/killing.ts';
import { atHost } from './testing/testremote.ts';

test('ten writers killed at random moments lose no acknowledged decision, repeat none, and leave nothing half-written', async () => {
  await atHost(async ({ host, dir, credentialFile }) => {
    const result = await killAgainAndAgain({ dir, host, credentialFile, kills: 10, decisionsPerSecond: 50 });
    assert.equal(result.problems, []);
    assert.ok(result.acknowledged > 0 && result.earlyKills > 0, JSON.stringify(result));
  });
});

test.run();

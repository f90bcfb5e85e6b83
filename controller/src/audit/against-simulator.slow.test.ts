// The exporter against the simulated validator, which has its own tests against the recorded facts.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testValidator } from '@miner/simulator/validator/testing.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hourMs } from './hours.ts';
import { sha256Of } from './records.ts';
import { exporterIn, hour, makeClock, makeLedger, row, signer, startValidator } from './testing/world.ts';
import { createUploader } from './upload.ts';

for (const committed of [true, false]) {
  test(`a report ${committed ? 'with' : 'without'} a commitment is taken by the validator`, async () => {
    const { validator: simulated } = await testValidator();
    const dir = await mkdtemp(join(tmpdir(), 'audit-'));
    const clock = makeClock(hour + hourMs);
    const validator = await startValidator(() => clock.now());
    const ledger = makeLedger();
    try {
      const rows = [row, { ...row, deploymentId: 'd2', instanceId: undefined, verifiedAt: undefined, deletedAt: hour }];
      const metrics = { chute_id: 'c1', deployment_id: 'd1', function: 'chat', total_seconds: 1.5, total_count: 3 };
      const exporter = exporterIn(
        { dir, clock, validator, ledger, rows },
        {
          // Signatures are made in real time, the report is of another one.
          uploaders: [createUploader({ api: simulated.url, signer, clock: { now: Date.now } })],
          readMetrics: async () => [metrics],
          ...(committed ? {} : { committer: 'none' }),
        },
      );
      assert.equal(await exporter.exportDue(1), [{ hour, state: 'uploaded' }]);
      const [entry, ...more] = simulated.audits();
      assert.equal(more, []);
      assert.is(entry?.minerHotkey, signer.address);
      assert.is(entry?.block, committed ? 1001 : 0);
      if (committed) assert.equal(ledger.commits, [entry?.sha256]);
      else assert.equal(ledger.commits, []);
      assert.match(entry?.sha256 ?? '', new RegExp(`^[0-9a-f]{${sha256Of(Buffer.from('')).length}}$`));
    } finally {
      await validator.close();
      await simulated.close();
      await rm(dir, { recursive: true });
    }
  });
}

test.run();

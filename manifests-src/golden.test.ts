// Rendered manifests, compared byte by byte with golden/*.yaml. UPDATE_GOLDEN=1 writes them anew.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Case, render } from './fixtures.ts';

const code =
  'from chutes.chute import Chute\n\nchute = Chute(username="alice", name="llama")\n\n\n@chute.cord()\nasync def run(self):\n    return "tab\\t" # ü\n';
const jobId = 'f47ac10b-58cc-4372-a567-0e02b2c3d479';

const cases: Record<string, Case> = {
  'chute-plain': {},
  'chute-job': {
    chute: {
      jobOnly: true,
      jobPorts: [
        { port: 2202, proto: 'TCP' },
        { port: 9000, proto: 'TCP' },
        { port: 9000, proto: 'UDP' },
      ],
    },
    spec: { jobId, reason: 'job', diskGb: 250, preemptible: false },
  },
  'chute-old-library-with-code': { chute: { chutesVersion: '0.3.60', code } },
  'chute-probe-8000': { chute: { chutesVersion: '0.3.2', code } },
  'chute-tee-attestation': { chute: { tee: true, chutesVersion: '0.6.0', gpuCount: 1 }, server: { tee: true } },
  'chute-legacy-without-token': { chute: { chutesVersion: '0.2.57', code }, spec: { reason: 'bounty' } },
};

for (const [name, change] of Object.entries(cases)) {
  test(`${name} renders as committed`, () => {
    const file = new URL(`golden/${name}.yaml`, import.meta.url);
    const text = render(change);
    if (process.env.UPDATE_GOLDEN === '1') {
      mkdirSync(new URL('golden/', import.meta.url), { recursive: true });
      writeFileSync(file, text);
    }
    assert.fixture(text, readFileSync(file, 'utf8'));
  });
}

test.run();

// The Lua that Argo CD judges Jobs and pods with, run by a real interpreter in a sandbox as narrow as Argo CD's.

import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { jobHealth } from '../constructs/argocd-settings.ts';
import { chute, claims, jobs, late, pods } from '../testing/health-cases.ts';
import { judge } from '../testing/lua.ts';
import { configWith } from '../testing/tree.ts';

const script = (name: string) => readFileSync(new URL(`${name}.lua`, import.meta.url), 'utf8');
for (const [kind, text, cases] of [
  ['Job', jobHealth(configWith()), jobs],
  ['pod', script('pod-health'), pods],
  ['volume claim', script('claim-health'), claims],
] as const) {
  const judged = judge(
    text,
    cases.map(([, object]) => object as never),
  );
  cases.forEach(([what, , status, message], i) => {
    test(`${kind}: ${what} is ${status}`, () => assert.equal(judged[i], { status, message }));
  });
}

test('the minutes of a launch are those of miner.yaml', () => {
  const [patient] = judge(jobHealth(configWith({ argocd: { launchMinutes: 60 } })), [
    chute({ active: 1, startTime: late }) as never,
  ]);
  assert.is(patient?.status, 'Progressing');
});

test('the sandbox of these tests has neither string functions nor files, as in Argo CD', () => {
  for (const text of ['return { status = ("x"):upper() }', 'return io.open("/etc/hostname")', 'os.exit(0)'])
    assert.throws(() => judge(text, [{}]), /attempt to/);
});

test.run();

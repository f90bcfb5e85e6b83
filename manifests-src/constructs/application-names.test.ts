import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { applicationOf } from './application-names.ts';

const cases: [folder: string, application: string | undefined][] = [
  ['argocd', 'argocd'],
  ['control', 'control'],
  ['chutes/gpu-07', 'chutes-gpu-07'],
  ['members/gpu-07', 'members-gpu-07'],
  ['README.md', undefined],
  ['chutes', undefined],
  ['other/gpu-07', undefined],
  ['chutes/gpu-07/deeper', undefined],
];
for (const [folder, application] of cases) {
  test(`${folder} is applied by ${application ?? 'no Application'}`, () => {
    assert.is(applicationOf(folder), application);
  });
}

test.run();

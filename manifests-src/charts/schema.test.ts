// R29 without a cluster: everything that is rendered, with every switch, against the schemas of Kubernetes 1.28 to 1.34.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { everyKind, parse } from '../parsed.ts';
import { kubernetesVersions, schemaProblems } from '../testing/schema.ts';
import { configWith, objectsOf } from '../testing/tree.ts';

const onHost = { postgres: { storage: { kind: 'host' } }, redis: { storage: { kind: 'host' } } };
const switches: Record<string, Record<string, unknown>> = {
  'as it comes': {},
  'a git host, notifications, the host for data': {
    git: { mode: 'external', url: 'https://git.example/miner/cluster.git' },
    argocd: { notifications: { service: 'slack' } },
    ...onHost,
  },
  'only what must be': { monitoring: { enabled: false }, audit: { enabled: false }, argocd: { showPods: false } },
};

type Rendered = { apiVersion: string; kind: string };

const trees = Object.entries(switches).map(
  ([what, sections]) => [what, objectsOf(configWith(sections)).map(({ path, ...object }) => object)] as const,
);
const cases: (readonly [string, Rendered[]])[] = [
  ...trees,
  ['every kind of chute', Object.values(everyKind).flatMap((change) => parse(change).all)],
];

for (const version of kubernetesVersions)
  for (const [what, objects] of cases)
    test(`R29 Kubernetes ${version} knows every field: ${what}`, () => {
      assert.ok(objects.length > 0);
      assert.equal(
        objects.flatMap((object) => schemaProblems(object, version)),
        [],
      );
    });

const wrong: [what: string, object: Rendered & Record<string, unknown>, expected: RegExp][] = [
  ['an unknown field', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, dat: {} }, /"dat"/],
  [
    'a missing field',
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'a' }, spec: { selector: {} } },
    /spec\.template/,
  ],
  [
    'a number as text',
    { apiVersion: 'batch/v1', kind: 'Job', spec: { parallelism: '1', template: {} } },
    /spec\.parallelism/,
  ],
  ['a kind that is not there', { apiVersion: 'policy/v1beta1', kind: 'PodSecurityPolicy' }, /has no policy\/v1beta1/],
];

for (const [what, object, expected] of wrong)
  test(`R29 ${what} is found`, () => assert.match(schemaProblems(object, '1.31').join('\n'), expected));

test('R29 what a later version brought is refused by an earlier one', () => {
  const spec = { containers: [{ name: 'a', restartPolicyRules: [] }] };
  const job = { apiVersion: 'batch/v1', kind: 'Job', spec: { template: { spec } } };
  assert.match(schemaProblems(job, '1.28').join('\n'), /restartPolicyRules/);
  assert.equal(schemaProblems(job, '1.34'), []);
});

test.run();

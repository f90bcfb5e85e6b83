// Least privilege, read off the program: each account may do exactly what the calls in its sources need, no more and no less.

import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Grant } from '../constructs/access.ts';
import { agentGrants } from '../constructs/agent.ts';
import { cacheCleanerGrants } from '../constructs/cache-cleaner.ts';
import { argocdGrants } from '../constructs/controller.ts';
import { controllerGrants } from '../constructs/member-access.ts';
import { registryGrants } from '../constructs/registry-proxy.ts';
import { configWith, objectsOf, serverNamed, the } from '../testing/tree.ts';

const sources = fileURLToPath(new URL('../../controller/src/', import.meta.url));

function textOf(...patterns: string[]): string {
  return patterns
    .flatMap((pattern) => globSync(pattern, { cwd: sources }))
    .filter((file) => !/test|fixture|fake/.test(file))
    .map((file) => readFileSync(sources + file, 'utf8'))
    .join('\n');
}

const verbs: Record<string, string> = {
  read: 'get',
  list: 'list',
  create: 'create',
  replace: 'update',
  patch: 'patch',
  delete: 'delete',
};
const groups: Record<string, string> = { core: '', batch: 'batch', apps: 'apps' };

/** `core.listNamespacedPod(` as `pods list`, and paths that are watched. */
function calls(text: string): string[] {
  const typed = [
    ...text.matchAll(/\b(core|batch|apps)\.(read|list|create|replace|patch|delete)(?:Namespaced)?([A-Z][a-z]+)\(/g),
  ];
  const watched = [...text.matchAll(/`\/api\/v1\/namespaces\/\$\{namespace\}\/([a-z]+)`/g)];
  return [
    ...typed.map(([, api = '', verb = '', kind = '']) => `${groups[api]}/${kind.toLowerCase()}s ${verbs[verb]}`),
    ...watched.map(([, resource]) => `/${resource} watch`),
  ];
}

/** Paths of the API that are read whole: lists, and one Secret by its name. */
function paths(text: string): string[] {
  return [...text.matchAll(/'\/(?:api|apis\/([a-z]+))\/v1\/([a-z/-]+)'/g)].map(([, group = '', path = '']) => {
    const [, , resource = path, name] = path.startsWith('namespaces/') ? path.split('/') : ['', '', path];
    return `${group}/${resource} ${name === undefined ? 'list' : 'get'}`;
  });
}

function granted(grants: readonly Grant[]): string[] {
  return grants.flatMap(({ rules }) =>
    rules.flatMap(({ group, resources, verbs }) =>
      resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`)),
    ),
  );
}

const sorted = (list: readonly string[]) => [...new Set(list)].sort();

test('the controller may do on a member what it calls', () => {
  const found = sorted(calls(textOf('kubernetes/*.ts')));
  assert.ok(found.length >= 12, found.join(', '));
  assert.equal(sorted(granted(controllerGrants)), found);
});

test('the agent may read what it tells of', () => {
  const found = sorted(paths(textOf('agent/resources.ts', 'agent/kubeconfig.ts')));
  assert.ok(found.length >= 6, found.join(', '));
  assert.equal(sorted(granted(agentGrants)), found);
});

test('the controller may list Applications of Argo CD and write to its own, to no other and nothing else', () => {
  assert.equal(
    textOf('kubernetes/applications.ts', 'kubernetes/lockrequests.ts')
      .match(/'(GET|PATCH)', /g)
      ?.sort(),
    ["'GET', ", "'GET', ", "'PATCH', ", "'PATCH', "],
  );
  const servers = [serverNamed('gpu-01')];
  const config = configWith({ argocd: { repositoryUrl: 'https://git.example/cluster.git', namespace: 'argo' } });
  const [grant, ...more] = argocdGrants({ config, servers });
  assert.equal(more, []);
  assert.is(grant?.namespace, 'argo');
  const names = ['argocd', 'control', 'members-gpu-01', 'chutes-gpu-01'];
  const what = { group: 'argoproj.io', resources: ['applications'] };
  assert.equal(grant?.rules, [
    { ...what, verbs: ['get', 'patch'], names },
    { ...what, verbs: ['list'] },
  ]);
  const pod = the(objectsOf(config), 'Deployment', 'controller').spec.template?.spec;
  assert.is(pod?.serviceAccountName, 'controller');
  assert.ok(pod?.containers[0]?.args?.includes('--argocd-namespace=argo'));
});

test('registry auth may follow pods', () => {
  assert.equal(sorted(granted(registryGrants)), sorted(calls(textOf('registry/*.ts'))));
});

test('the cache cleaner may list pods', () => {
  assert.match(textOf('cachecleaner/livechutes.ts'), /\/api\/v1\/namespaces\/chutes\/pods/);
  assert.equal(granted(cacheCleanerGrants), ['/pods list']);
});

test('people may look with the kubeconfig of the miner, unless that is switched off', () => {
  const names = (sections: Record<string, unknown>) =>
    objectsOf(configWith(sections)).filter(({ kind, metadata }) => kind === 'Role' && metadata.name === 'operator')
      .length;
  assert.is(names({}), 2);
  assert.is(names({ agent: { operatorAccess: false } }), 0);
  const looking = objectsOf().filter(({ kind, metadata }) => kind === 'Role' && metadata.name === 'operator');
  for (const { rules = [] } of looking)
    for (const { verbs } of rules) for (const verb of verbs) assert.ok(['get', 'list', 'watch'].includes(verb), verb);
});

/** The cluster that a file is for. */
const placeOf = ({ path }: { path: string }) =>
  path
    .split('/')
    .slice(0, path.startsWith('members/') ? 2 : 1)
    .join('/');

test('every binding names a role and an account that are rendered', () => {
  const objects = objectsOf();
  for (const { kind, path, metadata, roleRef, subjects = [] } of objects.filter(({ kind }) =>
    kind.endsWith('Binding'),
  )) {
    const roles = objects.filter(
      (one) =>
        one.kind === roleRef?.kind &&
        one.metadata.name === roleRef.name &&
        placeOf(one) === placeOf({ path }) &&
        one.metadata.namespace === metadata.namespace,
    );
    assert.is(roles.length, 1, `${kind} ${metadata.name}`);
    for (const subject of subjects)
      if (subject.kind === 'ServiceAccount') {
        // Argo CD's files bind accounts of the control plane.
        const place = placeOf({ path }).replace(/^argocd$/, 'control');
        const accounts = objects.filter(
          (one) => one.kind === 'ServiceAccount' && one.metadata.name === subject.name && placeOf(one) === place,
        );
        assert.equal(
          accounts.map((one) => one.metadata.namespace),
          [subject.namespace],
        );
      }
  }
});

test.run();

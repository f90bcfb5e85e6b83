// What must hold of Argo CD's Applications, AppProjects and settings, however many servers there are. R and D as in kubernetes.md 8 and 10.

import { type MinerConfig, minerConfig, type ServerConfig } from '@miner/controller/domain/config.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { chuteKinds, platformKinds } from '../argocd/kinds.ts';
import { chute, server as ofServer, specFor } from '../fixtures.ts';
import { dashboards } from '../monitoring/dashboards.ts';
import { everyKind, parse } from '../parsed.ts';
import { renderTree } from '../render.ts';
import { configWith, type Manifest, objectsOf, serversNamed, the } from '../testing/tree.ts';

interface Application {
  project: string;
  source: { repoURL: string; targetRevision: string; path: string; directory: { recurse: boolean; include?: string } };
  destination: { name: string; namespace: string };
  syncPolicy: {
    automated: { prune: boolean; selfHeal: boolean; allowEmpty: boolean };
    retry: { limit: number };
    syncOptions: string[];
  };
  ignoreDifferences: { kind: string; jsonPointers: string[] }[];
}
interface Project {
  sourceRepos: string[];
  destinations: { name: string; namespace: string }[];
  clusterResourceWhitelist: { group: string; kind: string }[];
  namespaceResourceWhitelist: { group: string; kind: string }[];
}

const url = 'https://git.example/miner/cluster.git';
const git = { mode: 'external', url };
const names = (count: number) => Array.from({ length: count }, (_, i) => `gpu-${String(i + 1).padStart(3, '0')}`);
const ofKind = (objects: readonly Manifest[], kind: string) => objects.filter((one) => one.kind === kind);
const specOf = (object: Manifest) => object.spec as unknown as Application;
const projectOf = (object: Manifest) => object.spec as unknown as Project;
const settings = (config = configWith({ git })) => the(objectsOf(config), 'ConfigMap', 'argocd-cm').data ?? {};
const chutesOf = (objects: readonly Manifest[], server: string) =>
  specOf(the(objects, 'Application', `chutes-${server}`));

/** Of folder argocd alone: with many servers the rest takes long to parse. */
function argocdObjects(config: MinerConfig, servers: Map<string, ServerConfig>): Manifest[] {
  const tree = [...renderTree(config, servers)].filter(([path]) => path.startsWith('argocd/'));
  return tree.flatMap(([path, text]) =>
    parseAllDocuments(text).map((document) => ({ path, ...(document.toJSON() as Omit<Manifest, 'path'>) })),
  );
}

const one = objectsOf(configWith({ git }));
const everyApplication = ofKind(one, 'Application');

for (const count of [1, 10, 100]) {
  test(`${count} servers have two Applications each, every one for its own folder and cluster, and the control plane has two`, () => {
    const servers = names(count);
    const applications = ofKind(argocdObjects(configWith({ git }), serversNamed(...servers)), 'Application');
    const expected = [
      ...servers.flatMap((server) => [
        `chutes-${server} /chutes/${server} ${server}`,
        `members-${server} /members/${server} ${server}`,
      ]),
      'argocd /argocd in-cluster',
      'control /control in-cluster',
    ].sort();
    const found = applications.map(({ metadata, spec }) => {
      const folder = metadata.annotations?.['argocd.argoproj.io/manifest-generate-paths'];
      return `${metadata.name} ${folder} ${(spec as unknown as Application).destination.name}`;
    });
    assert.equal(found.sort(), expected);
  });
}

test('everything that is rendered is in the folder of exactly one Application', () => {
  const spec = specFor(chute);
  const config = configWith({ git });
  const tree = renderTree(config, serversNamed('gpu-07', 'gpu-070'), [
    { spec, context: { config, server: ofServer, chute } },
  ]);
  const applications = ofKind(argocdObjects(config, serversNamed('gpu-07', 'gpu-070')), 'Application').map(specOf);
  for (const path of tree.keys()) {
    const holding = applications.filter(({ source }) =>
      source.path === '.'
        ? source.directory.include === path.replace(/[^/]*\.yaml$/, '*.yaml')
        : path.startsWith(`${source.path}/`),
    );
    assert.is(holding.length, 1, path);
  }
});

test('Argo CD reads the embedded git server, the host of the miner, or what it is told to', () => {
  const embedded = 'http://git-server.chutes.svc.cluster.local:8080/cluster.git';
  const other = 'http://mirror.example/cluster.git';
  for (const [sections, expected] of [
    [{}, embedded],
    [{ git }, url],
    [{ git, argocd: { repositoryUrl: other } }, other],
  ] as const)
    for (const application of ofKind(objectsOf(configWith(sections)), 'Application'))
      assert.is(specOf(application).source.repoURL, expected);
});

test('R2 no address carries a credential, and none can be given', () => {
  assert.throws(
    () => configWith({ argocd: { repositoryUrl: 'https://user:token@git.example/x.git' } }),
    /without user/,
  );
  assert.throws(() => configWith({ argocd: { links: { a: 'https://user:token@grafana.example/' } } }), /without user/);
  const text = JSON.stringify(objectsOf(configWith({ git, argocd: { notifications: { service: 'webhook' } } })));
  assert.match(text, /\$webhook-url/);
  assert.not.match(text, /"kind":"Secret"|bearerToken|caData|keyData|hooks\.slack/);
});

test('R14 R15 nothing is replaced or forced', () => {
  for (const application of everyApplication) assert.not.match(JSON.stringify(application), /Replace|Force/i);
});

test('R16 the last chute of a server is removed like any other: its folder need not be there', () => {
  const { source, syncPolicy } = chutesOf(one, 'gpu-01');
  assert.equal([source.path, source.directory], ['.', { recurse: true, include: 'chutes/gpu-01/*.yaml' }]);
  assert.equal(syncPolicy.automated, { prune: true, selfHeal: true, allowEmpty: true });
  // GPUs are free when their pods are gone, whether or not the Job is still there.
  assert.ok(syncPolicy.syncOptions.includes('PrunePropagationPolicy=background'));
});

test('R16 an empty folder removes nothing of the control plane, and an Application that goes takes nothing with it', () => {
  for (const application of everyApplication) {
    assert.is('finalizers' in application.metadata, false, application.metadata.name);
    if (application.metadata.name.startsWith('chutes-')) continue;
    assert.is(specOf(application).syncPolicy.automated.allowEmpty, false, application.metadata.name);
  }
});

test('R17 objects are tracked by annotation, and a commit concerns the Applications whose folder it changes', () => {
  assert.is(settings()['application.resourceTrackingMethod'], 'annotation');
  assert.is(settings()['timeout.reconciliation'], '180s');
  for (const { metadata, spec } of everyApplication) {
    const { source } = spec as unknown as Application;
    const folder = source.directory.include?.replace('/*.yaml', '') ?? source.path;
    assert.is(metadata.annotations?.['argocd.argoproj.io/manifest-generate-paths'], `/${folder}`);
    assert.is(source.targetRevision, 'live');
  }
});

test('R18 what a cluster fills in is neither drift nor sent back', () => {
  for (const application of everyApplication) {
    const { ignoreDifferences, syncPolicy } = specOf(application);
    // Chutes need no exception; with one for the Applications that it holds, Argo CD would send back an older status of them.
    if (/^(chutes-|argocd$)/.test(application.metadata.name)) {
      assert.is(ignoreDifferences, undefined);
      assert.not.ok(syncPolicy.syncOptions.includes('RespectIgnoreDifferences=true'));
      continue;
    }
    assert.ok(syncPolicy.syncOptions.includes('RespectIgnoreDifferences=true'));
    const pointers = (kind: string) => ignoreDifferences.find((ignored) => ignored.kind === kind)?.jsonPointers ?? [];
    assert.equal(pointers('Service'), ['/spec/clusterIP', '/spec/clusterIPs']);
    assert.ok(pointers('Job').includes('/spec/selector'));
    assert.ok(pointers('Job').includes('/spec/template/metadata/labels/controller-uid'));
  }
  // Nothing that is ours: what is ignored must not be in a rendered chute.
  for (const change of Object.values(everyKind)) {
    const { service, job } = parse(change);
    assert.not.ok('clusterIP' in service.spec || 'selector' in job.spec);
    assert.not.ok(
      Object.keys(job.spec.template.metadata.labels).some((label) => /controller-uid|job-name/.test(label)),
    );
  }
});

test('D23 a cluster is named as its server is, each name has its Applications, and no kubeconfig is rendered', () => {
  const servers = names(10);
  const objects = argocdObjects(configWith({ git }), serversNamed(...servers));
  const named = new Set(ofKind(objects, 'Application').map((application) => specOf(application).destination.name));
  assert.equal([...named].sort(), [...servers, 'in-cluster']);
  assert.not.match(JSON.stringify(objects), /current-context|client-certificate|"kind":"Config"/);
});

test('each AppProject allows the kinds that its folder has, never a Secret, never all', () => {
  const allowed = projectOf(the(one, 'AppProject', 'miner-chutes'));
  assert.equal(allowed.clusterResourceWhitelist, []);
  assert.equal(
    allowed.namespaceResourceWhitelist.map(({ kind }) => kind),
    ['ConfigMap', 'Service', 'Job', 'Pod'],
  );
  assert.not.match(JSON.stringify(ofKind(one, 'AppProject')), /"\*"|"Secret"/);
  const groupOf = (apiVersion: string) => (apiVersion.includes('/') ? apiVersion.split('/')[0] : '');
  for (const { path, apiVersion, kind, metadata } of one) {
    const folder = path.split('/')[0] ?? '';
    const { clusterResourceWhitelist, namespaceResourceWhitelist, destinations } = projectOf(
      the(one, 'AppProject', `miner-${folder}`),
    );
    const list = metadata.namespace ? namespaceResourceWhitelist : clusterResourceWhitelist;
    const isAllowed = list.some((entry) => entry.kind === kind && entry.group === groupOf(apiVersion));
    assert.ok(isAllowed, `${path}: ${kind} is not in manifests-src/argocd/kinds.ts`);
    if (metadata.namespace)
      assert.ok(
        destinations.some(({ namespace }) => namespace === metadata.namespace),
        `${path}: ${metadata.namespace}`,
      );
  }
});

test('each Application is in a project that allows its repository and its cluster', () => {
  for (const application of everyApplication) {
    const { project, source, destination } = specOf(application);
    const { sourceRepos, destinations } = projectOf(the(one, 'AppProject', project));
    assert.equal(sourceRepos, [source.repoURL]);
    assert.ok(
      destinations.some(({ name, namespace }) => name === destination.name && namespace === destination.namespace),
    );
  }
});

test('Argo CD follows what it applies, and pods only if wanted, but never Secrets', () => {
  const inclusions = parseYaml(settings()['resource.inclusions'] ?? '') as { apiGroups: string[]; kinds: string[] }[];
  const followed = inclusions.flatMap(({ apiGroups, kinds }) => kinds.map((kind) => `${apiGroups[0]}/${kind}`));
  for (const { group, kind } of [...chuteKinds.namespaced, ...platformKinds.namespaced, ...platformKinds.cluster])
    assert.ok(followed.includes(`${group}/${kind}`), kind);
  assert.ok(followed.includes('/Pod') && !followed.includes('/Secret'));
  const without = JSON.stringify(
    objectsOf(configWith({ git, argocd: { showPods: false } })).filter(({ path }) => path.startsWith('argocd/')),
  );
  assert.not.match(without, /"Pod"|- Pod\\n|ReplicaSet/);
});

test('a Job has no actions: started again it would have no launch token', () => {
  const actions = parseYaml(settings()['resource.customizations.actions.batch_Job'] ?? '');
  assert.equal(actions, { 'discovery.lua': 'return {}', definitions: [] });
});

test('links lead to the server, and commands say what only the miner can do', () => {
  const linked = objectsOf(
    configWith({ git, argocd: { links: { dashboard: 'https://g.example/d/x?var-server={server}' } } }),
  );
  const { metadata, spec } = the(linked, 'Application', 'chutes-gpu-01');
  assert.is(metadata.annotations?.['link.argocd.argoproj.io/dashboard'], 'https://g.example/d/x?var-server=gpu-01');
  const { info } = spec as unknown as { info: { name: string; value: string }[] };
  assert.equal(
    info.map(({ value }) => value),
    ['chutes-miner why gpu-01', 'chutes-miner node lock gpu-01', 'chutes-miner node unlock gpu-01'],
  );
});

test('each Application has a link to a dashboard that is there, once Grafana has an address', () => {
  const link = 'link.argocd.argoproj.io/grafana';
  const linked = objectsOf(configWith({ git, monitoring: { grafana: { url: 'https://grafana.example/' } } }));
  for (const { metadata } of ofKind(linked, 'Application')) {
    const [address, uid] = (metadata.annotations?.[link] ?? '').split('/d/');
    assert.is(address, 'https://grafana.example', metadata.name);
    assert.ok(
      dashboards.some((one) => one.uid === uid),
      uid,
    );
  }
  for (const { metadata } of everyApplication) assert.is(metadata.annotations?.[link], undefined);
});

test('the control plane is applied to its own namespaces only: what it may do in that of Argo CD comes with Argo CD', () => {
  const namespaces = projectOf(the(one, 'AppProject', 'miner-control')).destinations.map(({ namespace }) => namespace);
  assert.equal(namespaces, ['chutes', 'monitoring']);
  const roles = one.filter(({ kind, metadata }) => kind === 'Role' && metadata.namespace === 'argocd');
  assert.equal(
    roles.map(({ path, metadata }) => `${path} ${metadata.name}`),
    ['argocd/access.yaml miner-controller', 'argocd/access.yaml prometheus-server'],
  );
});

for (const service of ['slack', 'webhook'] as const) {
  test(`notifications by ${service}: every trigger sends a template that is there, to a destination that is a reference`, () => {
    const objects = objectsOf(configWith({ git, argocd: { notifications: { service, outOfSyncMinutes: 7 } } }));
    const { data = {} } = the(objects, 'ConfigMap', 'argocd-notifications-cm');
    const [{ triggers }] = parseYaml(data.subscriptions ?? '') as [{ triggers: string[] }];
    assert.equal(triggers, ['degraded', 'out-of-sync', 'sync-failed']);
    for (const trigger of triggers) {
      const [{ send, when }] = parseYaml(data[`trigger.${trigger}`] ?? '') as [{ send: string[]; when: string }];
      for (const template of send) assert.ok(data[`template.${template}`], template);
      if (trigger === 'out-of-sync') assert.match(when, /Minutes\(\) >= 7$/);
    }
    assert.match(
      data[service === 'slack' ? 'service.slack' : 'service.webhook.miner'] ?? '',
      /"\$(slack-token|webhook-url)"/,
    );
  });
}

test('no notifications are rendered unless they are wanted', () => {
  assert.not.ok(one.some(({ metadata }) => metadata.name === 'argocd-notifications-cm'));
});

test('settings of miner.yaml reach Argo CD', () => {
  const argocd = {
    namespace: 'cd',
    selfHeal: false,
    retryLimit: 3,
    refreshSeconds: 60,
    statusProcessors: 40,
    operationProcessors: 25,
  };
  const objects = objectsOf(minerConfig.parse({ ...configWith({ git }), argocd }));
  const { syncPolicy } = chutesOf(objects, 'gpu-01');
  assert.equal([syncPolicy.automated.selfHeal, syncPolicy.retry.limit], [false, 3]);
  const { metadata, data } = the(objects, 'ConfigMap', 'argocd-cmd-params-cm');
  assert.equal(
    [metadata.namespace, data?.['controller.status.processors'], data?.['controller.operation.processors']],
    ['cd', '40', '25'],
  );
  assert.is(the(objects, 'ConfigMap', 'argocd-cm').data?.['timeout.reconciliation'], '60s');
});

test.run();

// docs/upstream-map.md: every row's target is rendered, is a field or is a file, what is left out says why, and nothing is missing.

import { existsSync, globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { minerConfig } from '@miner/controller/domain/config.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { objectsOf } from './testing/tree.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const text = readFileSync(`${root}docs/upstream-map.md`, 'utf8');
const rows = text
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| upstream |'))
  .map((line) => {
    const [upstream = '', ours = '', why = ''] = line
      .slice(2, -1)
      .split('|')
      .map((cell) => cell.trim());
    return { upstream, ours, why };
  });

interface Shape {
  properties?: Record<string, Shape>;
  allOf?: Shape[];
}
function pathsOf({ properties = {}, allOf = [] }: Shape, prefix = ''): string[] {
  const own = Object.entries(properties).flatMap(([name, field]) => [
    `${prefix}${name}`,
    ...pathsOf(field, `${prefix}${name}.`),
  ]);
  return [...own, ...allOf.flatMap((one) => pathsOf(one, prefix))];
}
const fields = new Set(pathsOf(z.toJSONSchema(minerConfig, { io: 'input', unrepresentable: 'any' }) as Shape));

const places = { control: 'control/', member: 'members/', argocd: 'argocd/' };
const rendered = new Set(
  objectsOf().flatMap(({ path, kind, metadata }) =>
    Object.entries(places)
      .filter(([, folder]) => path.startsWith(folder))
      .map(([place]) => `${place}: ${kind} ${metadata.name}`),
  ),
);

test('every row leads to something that is there, or says why there is nothing', () => {
  assert.ok(rows.length > 100, String(rows.length));
  for (const { upstream, ours, why } of rows) {
    if (ours === 'none') {
      assert.ok(why.length > 5, `${upstream}: no reason`);
      continue;
    }
    const names = [...ours.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
    const links = [...ours.matchAll(/\]\(\.\.\/([^)]+)\)/g)].map(([, path = '']) => path);
    assert.ok(names.length + links.length > 0, upstream);
    for (const name of names)
      assert.ok(name.includes(': ') ? rendered.has(name) : fields.has(name), `${upstream}: ${name}`);
    for (const path of links) assert.ok(existsSync(root + path), `${upstream}: ${path}`);
  }
});

/** Names of upstream's objects, as kubernetes.md 1, 3 and 9.9 list them. */
const objects =
  `chutes chutes-sa-token audit-exporter miner-credentials redis-secret postgres-secret postgres-config postgres
postgres-network-policy redis redis-network-policy api gepetto gepetto-code monitor chutes-job-network-policy critical-priority agent
agent-cluster agent-secret-access agent-pdb failed-chute-cleanup chutes-network-policy bootstrap-network-policy chutes/miner
gpu-operator/miner monitoring/miner registry-nginx-config registry registry-<validator> chutes-cache-cleaner miner-kubeconfig regcred
prometheus-server prometheus-scrape-configs monitoring-grafana grafana-dashboards kube-state-metrics node-exporter pushgateway
prometheus-access alertmanager chute-service-<id> chute-<id> chute-code-<uuid5> graval-<node> graval-svc-<node> nvidia monitoring`.split(
    /\s+/,
  );
/** First words of upstream's values, as kubernetes.md 2 lists them. */
const values =
  `multiCluster calico cache.max_age_days cache.max_size_gb cache.overrides kubeconfig.hostPath validators.defaultRegistry
validators.defaultApi validators.supported minerApi.image minerApi.imagePullPolicy minerApi.resources minerApi.service.type
minerApi.service.nodePort minerApi.nodeSelector gepetto.image gepetto.validatorMigrationsEnabled gepetto.deployCacheWaitTimeout
gepetto.resources gepetto.nodeSelector postgres.image postgres.persistence.enabled postgres.resources postgres.database.name
postgres.database.passwordKey postgres.service.type postgres.nodeSelector postgres.annotations redis.image redis.replicaCount
redis.nodeSelector redis.resources redis.service.type redis.password.passwordKey redis.config.customArgs registry.service.nodePort
auditExporter.image auditExporter.nodeSelector monitor.image monitor.reconciliationIntervalSeconds minerCredentials.ss58Address
minerCredentials.secretSeed createPasswords agent.image agent.resources agent.service.type agent.service.nodePort agent.nodeSelector
failedChuteCleanup.image registry.image registry.resources registry.service.type registry.nodeSelector registry.config.workerProcesses
registry.config.clientMaxBodySize registry.config.validators auth.image auth.resources auth.port prometheus.deploy
prometheus.createSecret prometheus.alertmanager.enabled prometheus.fullnameOverride prometheus.server.service.type
prometheus.server.extraConfigmapMounts prometheus.federation.enabled prometheus.federation.scrapeInterval
prometheus.federation.matchSelectors prometheus.federation.clusters prometheus.scrape grafana.deploy grafana.adminUser grafana.service
grafana.plugins grafana.datasources NVIDIA_RUNTIME GRAVAL_BOOTSTRAP_IMAGE CHUTE_SHUTDOWN_TIME_SECONDS MTLS_REGISTRY_MIN_VERSION NETUID`.split(
    /\s+/,
  );

test('no object and no value of upstream is missing', () => {
  const words = new Set(rows.flatMap(({ upstream }) => upstream.split(/[\s,]+/)));
  for (const name of [...objects, ...values]) assert.ok(words.has(name), name);
});

test('R1-R32 and D1-D26 each have a test of that name', () => {
  const files = globSync('{manifests-src,controller/src/{cachecleaner,domain,kubernetes}}/**/*.test.ts', { cwd: root });
  const named = files
    .flatMap((file) => readFileSync(root + file, 'utf8').match(/\b(test|scene)\(\s*['"`][^'"`\n]*/g) ?? [])
    .join('\n');
  const ids = [
    ...Array.from({ length: 32 }, (_, i) => `R${i + 1}`),
    ...Array.from({ length: 26 }, (_, i) => `D${i + 1}`),
  ];
  assert.equal(
    ids.filter((id) => !new RegExp(`\\b${id}\\b`).test(named)),
    [],
  );
});

test.run();

// The arguments that the charts give, read by the roles' own parsers: an option that a role does not know, or lacks, fails here.

import { parseArgs } from 'node:util';
import { role as agent } from '@miner/controller/roles/agent.ts';
import { role as auditExporter } from '@miner/controller/roles/audit-exporter.ts';
import { role as cacheCleaner } from '@miner/controller/roles/cache-cleaner.ts';
import { role as registryAuth } from '@miner/controller/roles/registry-auth.ts';
import type { Role } from '@miner/controller/roles/role.ts';
import { role as controller } from '@miner/controller/roles/serve-controller.ts';
import { role as gepetto } from '@miner/controller/roles/serve-gepetto.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configWith, containersOf, objectsOf, the, workloadsOf } from '../testing/tree.ts';

const roles: Record<string, { role: Role; needs: string[]; env: string[] }> = {
  agent: { role: agent, needs: ['hotkey', 'name'], env: [] },
  'audit-exporter': { role: auditExporter, needs: ['hotkey', 'api'], env: ['POSTGRESQL'] },
  'cache-cleaner': { role: cacheCleaner, needs: ['root'], env: [] },
  controller: {
    role: controller,
    needs: ['hotkey', 'repository', 'link-token-file'],
    env: ['POSTGRESQL', 'REDIS_URL'],
  },
  gepetto: { role: gepetto, needs: ['controller', 'repository', 'link-token-file'], env: ['POSTGRESQL', 'REDIS_URL'] },
  'registry-auth': { role: registryAuth, needs: ['hotkey'], env: ['NODE_NAME', 'VALIDATORS'] },
};

const git = { mode: 'external', url: 'https://git.example:8443/me/miner.git' };
const variants = { plain: {}, 'git host': { git }, dry: { cache: { dryRun: true }, audit: { chain: 'none' } } };
const images = new Set([configWith().images.miner, configWith().images.cacheCleaner]);

for (const [variant, sections] of Object.entries(variants)) {
  const containers = workloadsOf(objectsOf(configWith(sections))).flatMap(({ pod }) =>
    containersOf(pod).map((container) => ({ container, pod })),
  );
  const programs = containers.filter(({ container }) => images.has(container.image));

  test(`${variant}: every container of the program's image runs a role with options that the role knows`, () => {
    assert.equal(programs.map(({ container }) => container.args?.[0]).sort(), Object.keys(roles).sort());
    for (const { container } of programs) {
      const [name = '', ...args] = container.args ?? [];
      const known = roles[name];
      assert.ok(known, name);
      if (!known) continue;
      const { role, needs, env } = known;
      const { values } = parseArgs({ args, options: role.options });
      for (const option of needs) assert.ok(values[option], `${name} --${option}`);
      const variables = container.env?.map((one) => one.name) ?? [];
      for (const variable of env) assert.ok(variables.includes(variable), `${name} ${variable}`);
    }
  });

  test(`${variant}: every file and folder that a role is given is mounted`, () => {
    for (const { container, pod } of programs) {
      const paths = (container.args ?? []).flatMap((arg) => /^--[a-z-]+=(\/.*)$/.exec(arg)?.[1] ?? []);
      for (const path of paths) {
        const mount = container.volumeMounts?.find(
          ({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`),
        );
        assert.ok(
          pod.volumes?.some(({ name }) => name === mount?.name),
          `${container.name}: ${path}`,
        );
      }
    }
  });

  test(`${variant}: no secret is in an argument`, () => {
    for (const { container } of containers)
      for (const arg of [...(container.args ?? []), ...(container.command ?? [])])
        assert.not.match(arg, /PASSWORD\)|TOKEN\)/);
  });
}

for (const [what, sections, url, port] of [
  ['a git host', { git }, git.url, 8443],
  ['the embedded git server', {}, 'http://git-server.chutes.svc.cluster.local:8080/cluster.git', 8080],
] as const)
  test(`with ${what} each of the two has a copy of its own, the credential as a file, and a way there`, () => {
    const objects = objectsOf(configWith(sections));
    for (const name of ['controller', 'gepetto']) {
      const args = the(objects, 'Deployment', name).spec.template?.spec.containers[0]?.args ?? [];
      assert.ok(args.includes(`--repository=/var/lib/chutes/repository/${name}.git`));
      assert.ok(args.includes(`--git-url=${url}`));
      assert.ok(args.includes('--git-credential-file=/run/secrets/miner/git/credentials'));
      const { egress = [] } = the(objects, 'NetworkPolicy', name).spec;
      assert.ok(egress.some(({ ports = [] }) => ports.some((one) => one.port === port)));
    }
  });

test('the embedded git server lets in what needs it, and is there only when it is wanted', () => {
  const objects = objectsOf();
  const { ingress = [], egress = [] } = the(objects, 'NetworkPolicy', 'git-server').spec;
  const from = ingress.flatMap((rule) => rule.from ?? []);
  assert.equal([from.length, egress], [2, []]);
  const [access, argocd] = from;
  const allowed = workloadsOf(objects)
    .filter(
      ({ template }) => template.metadata.labels['git-access'] === access?.podSelector?.matchLabels?.['git-access'],
    )
    .map(({ manifest }) => manifest.metadata.name);
  assert.equal(allowed.sort(), ['controller', 'gepetto']);
  assert.equal(argocd?.namespaceSelector?.matchLabels, { 'kubernetes.io/metadata.name': 'argocd' });
  const path = (config = configWith()) => objectsOf(config).some((one) => one.path.endsWith('/git-server.yaml'));
  assert.equal([path(), path(configWith({ git }))], [true, false]);
  const backups = (enabled: boolean) =>
    objectsOf(configWith({ git: { server: { backup: { enabled } } } })).filter(
      ({ metadata }) => metadata.name === 'git-backup',
    );
  assert.equal([backups(true).length, backups(false).length], [2, 0]);
});

test('a git host of the miner has an address, and the embedded server none of its own', () => {
  assert.throws(() => configWith({ git: { mode: 'external' } }), /is needed when mode is external/);
  assert.throws(() => configWith({ git: { url: git.url } }), /set mode to external/);
});

test.run();

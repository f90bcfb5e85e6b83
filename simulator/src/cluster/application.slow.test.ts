import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { desiredState, hasDrifted, isManaged, syncApplication } from './application.ts';
import { chuteManifest, manualClock } from './fixtures.ts';
import { type ManifestFile, parseManifest, type ServerTree } from './gittree.ts';
import { createMember } from './member.ts';
import { createLedger } from './record.ts';
import { makeServers } from './servers.ts';

const [server] = makeServers(1, 1) as [ReturnType<typeof makeServers>[number]];
const name = server.name;
const ids = ['a', 'b', 'c'].map((letter) => `${letter.repeat(8)}-0000-4000-8000-000000000000`) as [
  string,
  string,
  string,
];

function manifest(deploymentId: string, port = 30001, more: object = {}): string {
  const ports = [port, port + 1] as const;
  const gpuIds = server.gpuIds.slice(0, 1);
  return chuteManifest({ deploymentId, chuteId: 'c', server: name, gpuIds, ports, host: server.ip, ...more });
}

function tree(...texts: string[]): ServerTree {
  const files = texts.map((text, i): [string, ManifestFile] => [
    `${i}.yaml`,
    parseManifest('', `chutes/x/${i}.yaml`, text),
  ]);
  return { oid: '', files: new Map(files) };
}

function harness() {
  const clock = manualClock();
  const ledger = createLedger(
    () => clock.now(),
    () => {},
  );
  const conflicts: number[] = [];
  const onPortConflict = (_: string, port: number) => conflicts.push(port);
  const member = createMember(server, { clock, random: Math.random, onPortConflict });
  const order: string[] = [];
  member.store.onChange(({ type, object }) => order.push(`${type} ${object.kind}`));
  const sync = (...texts: string[]) => syncApplication(member, desiredState(name, tree(...texts), ledger), ledger);
  const names = () =>
    (['services', 'jobs'] as const).flatMap((kind) => member.store.list(kind)).map(({ metadata }) => metadata.name);
  return { member, ledger, conflicts, order, sync, names };
}

test('the Service is applied before the Job, whatever their order in the file', () => {
  const { sync, order, member } = harness();
  assert.equal(sync(manifest(ids[0])), { sync: 'Synced', failures: [] });
  assert.equal(order, ['ADDED Service', 'ADDED Job']);
  assert.ok(member.store.list('jobs').every((job) => isManaged(job, name)));
});

test('an unchanged tree changes nothing', () => {
  const { sync, order } = harness();
  sync(manifest(ids[0]));
  order.length = 0;
  sync(manifest(ids[0]));
  assert.equal(order, []);
});

test('what left the tree is pruned, what somebody else made stays', () => {
  const { sync, names, member } = harness();
  sync(manifest(ids[0]), manifest(ids[1], 30011));
  member.create('configmaps', { metadata: { name: 'foreign' }, data: {} });
  sync(manifest(ids[1], 30011));
  assert.ok(member.store.get('jobs', `chute-${ids[0]}`)?.metadata.deletionTimestamp);
  assert.equal(names(), [`chute-service-${ids[1]}`, `chute-${ids[0]}`, `chute-${ids[1]}`]);
  assert.ok(member.store.get('configmaps', 'foreign'));
});

test("a Job's pod template never changes: the sync fails and says so", () => {
  const { sync, member } = harness();
  sync(manifest(ids[0]));
  const before = member.store.get('jobs', `chute-${ids[0]}`);
  const result = sync(manifest(ids[0], 30001, { host: '127.0.0.9' }));
  assert.is(result.sync, 'OutOfSync');
  assert.match(result.failures[0] ?? '', 'field is immutable');
  assert.equal(member.store.get('jobs', `chute-${ids[0]}`), before);
});

test('a kind or namespace outside the project stops the whole Application and is told', () => {
  const secret = '---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {token: x}\n';
  const elsewhere = '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\n';
  const batch = '---\napiVersion: batch/v1beta1\nkind: Job\nmetadata: {name: j}\n';
  for (const [extra, words] of [
    [secret, 'v1 Secret is not permitted'],
    [elsewhere, 'namespace "default" is not permitted'],
    [batch, 'batch/v1beta1 Job is not permitted'],
    ['---\n{', 'chutes/x/0.yaml'],
    ['---\n- 1\n', 'is no object'],
    ['---\nkind: Job\n', 'apiVersion'],
  ]) {
    const { sync, names } = harness();
    const result = sync(manifest(ids[0], 30001, { extra }));
    assert.is(result.sync, 'OutOfSync', words);
    assert.match(result.failures.join('; '), words ?? '');
    assert.equal(names(), [], words);
  }
});

test('a Secret or a token in git is a violation', () => {
  const { sync, ledger } = harness();
  const secret = '---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n';
  const literal = `{name: CHUTES_LAUNCH_JWT, value: ${['eyJhbGciOiJIUzI1NiJ9', 'eyJzdWIiOiJ4In0xxxx', 'abcdefghijklmnop'].join('.')}}`;
  sync(manifest(ids[0], 30001, { extra: secret }), manifest(ids[1], 30011, { tokenEnv: literal }));
  const codes = ledger.violations().map(({ code }) => code);
  assert.equal(codes, ['secret-in-git', 'token-in-git']);
});

test('one refused object does not keep the others back', () => {
  const { sync, conflicts, names } = harness();
  const result = sync(manifest(ids[0]), manifest(ids[1]), manifest(ids[2], 30021));
  assert.is(result.sync, 'OutOfSync');
  assert.match(result.failures.join(), 'provided port is already allocated');
  assert.equal(conflicts, [30001]);
  assert.ok(names().includes(`chute-service-${ids[2]}`));
});

test('a member that is down is unknown, and nothing is written to it', () => {
  const { sync, member, order } = harness();
  member.up = false;
  assert.is(sync(manifest(ids[0])).sync, 'Unknown');
  assert.equal(order, []);
});

test('drift is what is missing or altered, not what a controller adds', () => {
  const { member, ledger, sync } = harness();
  const text = manifest(ids[0]);
  sync(text);
  const desired = desiredState(name, tree(text), ledger);
  const service = `chute-service-${ids[0]}`;
  assert.not(hasDrifted(member, desired, 'services', service));
  member.setStatus('jobs', `chute-${ids[0]}`, { active: 1 });
  assert.not(hasDrifted(member, desired, 'jobs', `chute-${ids[0]}`));
  member.patch('services', service, (object) => ({ ...object, spec: { ...(object.spec as object), selector: {} } }));
  assert.ok(hasDrifted(member, desired, 'services', service));
  member.remove('services', service);
  assert.ok(hasDrifted(member, desired, 'services', service));
  assert.not(hasDrifted(member, desired, 'services', 'foreign'));
});

test.run();

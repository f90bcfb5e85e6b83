import postgres from 'postgres';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startPostgres, type TestPostgres } from '../../../test/postgres.ts';
import { parseChute } from '../../domain/chute.ts';
import type { DeploymentLifecycle } from '../../domain/deployment.ts';
import { gpuId, hotkey, makeLifecycle, makeServer, uuid } from '../contract/fixtures.ts';
import { rejection } from '../contract/world.ts';
import { openStore } from '../open.ts';
import { makeUpstream, type Variant } from './fixture.ts';
import { type Import, translate } from './import.ts';
import { readUpstream } from './source.ts';
import { demandEmptyTarget, writeImport } from './target.ts';

const now = Date.UTC(2026, 5, 1);
const options = { diskGb: 1000, now };
const at = (time: string) => Date.parse(`2026-01-02T${time}Z`);
const info = (n: number) => ({
  uuid: gpuId(n),
  name: 'NVIDIA H100 80GB HBM3',
  memory: 85_024_636_928,
  clock_rate: 1_980_000,
  major: 9,
  minor: 0,
  processors: 132,
  sxm: true,
  max_threads_per_processor: 2048,
  ecc: true,
});
const gpuOf = (n: number) => ({ gpuId: gpuId(n), model: 'h100_sxm', verified: true, deviceInfo: info(n) });

const first = makeServer(1, { gpus: [11, 12, 13].map(gpuOf), diskGb: 1000, locked: true });
const second = makeServer(2, {
  gpus: [gpuOf(21)],
  diskGb: 1000,
  seed: undefined,
  verificationPort: undefined,
});
const running: DeploymentLifecycle = {
  ...makeLifecycle(100),
  chuteId: uuid(50),
  version: uuid(1050),
  configId: uuid(200),
  instanceId: uuid(300),
  gpuIds: [gpuId(11), gpuId(12)],
  nodePorts: [31_001],
  plannedAt: at('04:00:00'),
  committedAt: at('04:00:00'),
  claimedAt: at('04:10:00.500'),
  verifiedAt: at('04:10:00.500'),
  activatedAt: at('04:12:00'),
};
const job: DeploymentLifecycle = {
  ...makeLifecycle(101),
  server: 'gpu-2',
  chuteId: uuid(51),
  version: uuid(1050),
  jobId: uuid(400),
  gpuIds: [gpuId(21)],
  nodePorts: [],
  plannedAt: at('04:00:00'),
  committedAt: at('04:00:00'),
};
const chute = {
  validator: hotkey,
  image: 'chutes/vllm:0.9.1',
  code: 'print()',
  filename: 'app.py',
  ref_str: 'app:chute',
  supported_gpus: ['h100_sxm', 'a100'],
};
const chutes = [
  parseChute(
    { ...chute, chute_id: uuid(50), version: uuid(1050), chutes_version: '0.3.61', node_selector: { gpu_count: 2 } },
    hotkey,
  ),
  parseChute(
    { ...chute, chute_id: uuid(51), name: 'llama-51', version: uuid(1051), node_selector: { gpu_count: 1 } },
    hotkey,
  ),
];

const findings = [
  ['gpu', gpuId(22), 'left', 'device_info.name: '],
  ['server', 'Bad.Name', 'left', 'name: must be lower-case'],
  ['server', 'gpu-2', 'taken', 'agent_api is empty: http://192.0.2.2:32000 assumed'],
  ['server', 'gpu-1', 'taken', 'gpu_count is 2, but 3 GPUs were taken'],
  ['server', 'gpu-4', 'left', 'no GPU and no label gpu-short-ref; hourlyCost: '],
  ['gpu', gpuId(31), 'left', 'its server was left'],
  ['chute', uuid(51), 'taken', 'it is banned: put its id under policy.denyChutes'],
  ['chute', uuid(52), 'left', 'image: must look like user/name:tag'],
  ['deployment', uuid(101), 'taken', 'its node port is not known'],
  ['deployment', uuid(102), 'left', 'a stub: its launch was not finished'],
  ['deployment', uuid(103), 'left', 'it holds no GPU'],
  ['deployment', uuid(104), 'left', 'its server was left'],
  ...[102, 103, 104].map((n) => ['audit entry', uuid(n), 'taken', 'its deployment is not taken']),
];

let server: TestPostgres | undefined;
const made: string[] = [];

/** The URL of a new, empty database. */
async function database(): Promise<string> {
  if (!server) throw new Error('PostgreSQL did not start');
  const name = `import_${process.pid}_${made.length}`;
  const admin = postgres(server.url, { max: 1 });
  await admin.unsafe(`create database ${name}`);
  await admin.end();
  made.push(name);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return url.href;
}

/** Everything in a database that an import could change. */
async function contentOf(url: string): Promise<unknown> {
  const client = postgres(url, { max: 1 });
  const tables = await client<{ name: string }[]>`
    select table_schema || '.' || table_name as name from information_schema.tables
    where table_schema not in ('pg_catalog', 'information_schema') order by name`;
  const rows = [];
  for (const { name } of tables)
    rows.push([name, (await client`select t::text as row, xmin from ${client(name)} t`).map((row) => ({ ...row }))]);
  await client.end();
  return rows;
}

async function upstream(variant: Variant, filled = true): Promise<{ url: string; read: Import }> {
  const url = await database();
  await makeUpstream(url, variant, filled);
  return { url, read: translate(await readUpstream(url), options) };
}

const nothing = async () => undefined;

test.before(async () => {
  server = await startPostgres();
});

test.after(async () => {
  if (!server) return;
  const admin = postgres(server.url, { max: 1 });
  for (const name of made) await admin.unsafe(`drop database if exists ${name} with (force)`);
  await admin.end();
  await server.stop();
});

for (const variant of ['fresh', 'migrated'] as const) {
  test(`a ${variant} upstream database becomes ours, and stays as it was`, async () => {
    const { url, read } = await upstream(variant);
    const before = await contentOf(url);
    const target = await database();
    await writeImport(target, translate(await readUpstream(url), options), nothing);
    assert.equal(await contentOf(url), before);
    const store = await openStore({ url: target });
    assert.equal(await store.servers(), [first, second]);
    assert.equal(await store.chutes(), chutes);
    assert.equal(await store.lifecycles(0), [running, job]);
    assert.equal(
      (await store.auditRows(0, now + 1)).map((row) => [
        row.deploymentId,
        row.instanceId,
        row.createdAt,
        row.verifiedAt,
        row.deletedAt,
      ]),
      [
        [uuid(99), uuid(299), at('10:00:00') - 86_400_000, at('10:05:00') - 86_400_000, at('12:00:00') - 86_400_000],
        [uuid(100), uuid(300), at('04:00:00'), at('04:10:00.750'), undefined],
        [uuid(101), undefined, at('04:00:00'), undefined, undefined],
        ...[102, 103, 104].map((n) => [uuid(n), undefined, at('04:00:00'), undefined, now]),
      ],
    );
    await store.close();
    assert.equal(
      read.counts.map(({ kind, found, taken }) => [kind, found, taken]),
      [
        ['server', 4, 2],
        ['gpu', 6, 4],
        ['chute', 3, 2],
        ['deployment', 5, 2],
        ['audit entry', 6, 6],
      ],
    );
  });

  test(`every row of a ${variant} database that is left or odd is reported with the reason`, async () => {
    const { read } = await upstream(variant);
    for (const [kind, id, outcome, why] of findings) {
      const found = read.findings.filter((one) => one.kind === kind && one.id === id && one.outcome === outcome);
      assert.ok(
        found.some((one) => one.why.startsWith(why ?? '')),
        `${kind} ${id}: ${JSON.stringify(found)}`,
      );
    }
    assert.is(read.findings.length, findings.length);
  });
}

test('the files of the servers say what the rows say', async () => {
  const { read } = await upstream('fresh');
  assert.equal(read.configs, [
    {
      name: 'gpu-1',
      validator: hotkey,
      hourlyCost: 1.35,
      gpuShortRef: 'h100_sxm',
      agentApi: 'http://192.0.2.1:32000',
      locked: true,
    },
    {
      name: 'gpu-2',
      validator: hotkey,
      hourlyCost: 1.35,
      gpuShortRef: 'h100_sxm',
      agentApi: 'http://192.0.2.2:32000',
      locked: false,
    },
  ]);
});

test('an upstream database without rows is an import without rows', async () => {
  const { read } = await upstream('migrated', false);
  const target = await database();
  await writeImport(target, read, nothing);
  const store = await openStore({ url: target });
  assert.equal([await store.servers(), await store.chutes(), await store.lifecycles(0)], [[], [], []]);
  await store.close();
});

test('a source that is no upstream database is refused', async () => {
  const empty = await database();
  assert.match((await rejection(readUpstream(empty))).message, 'no table servers, gpus, chutes, deployments');
  const ours = await database();
  await (await openStore({ url: ours })).close();
  const error = await rejection(readUpstream(ours));
  assert.is(error.code, 'E-USAGE');
  assert.match(error.message, 'gpus.deployment_id');
});

test('a target with rows is refused and stays as it was', async () => {
  const { read } = await upstream('fresh');
  const target = await database();
  const store = await openStore({ url: target });
  await store.addServer(makeServer(9));
  await store.close();
  const before = await contentOf(target);
  for (const attempt of [() => demandEmptyTarget(target), () => writeImport(target, read, nothing)]) {
    const error = await rejection(attempt());
    assert.is(error.code, 'E-USAGE');
    assert.match(error.message, /not empty: table (servers|gpus)/);
  }
  assert.equal(await contentOf(target), before);
});

test('the source itself, or any database of another program, is refused as a target and stays as it was', async () => {
  const { url, read } = await upstream('fresh');
  const before = await contentOf(url);
  const error = await rejection(writeImport(url, read, nothing));
  assert.is(error.code, 'E-USAGE');
  assert.match(error.message, 'another program');
  assert.equal(await contentOf(url), before);
});

test('when the files cannot be written no row is, and the import can be repeated', async () => {
  const { read } = await upstream('fresh');
  const target = await database();
  const error = await rejection(writeImport(target, read, () => Promise.reject(new Error('disk full'))));
  assert.match(error.message, 'disk full');
  await demandEmptyTarget(target);
  await writeImport(target, read, nothing);
  assert.is((await rejection(demandEmptyTarget(target))).code, 'E-USAGE');
});

test('1,500 servers and 12,000 audit entries fit into one import', async () => {
  const { read } = await upstream('fresh', false);
  const servers = Array.from({ length: 1500 }, (_, i) =>
    makeServer(i, { name: `gpu-${i}`, serverId: uuid(i), gpus: [gpuOf(i + 1)] }),
  );
  const entry = { validator: hotkey, chuteId: uuid(1), version: 'v', instanceId: undefined, createdAt: now };
  const audit = Array.from({ length: 12_000 }, (_, i) => ({
    ...entry,
    deploymentId: uuid(i),
    verifiedAt: undefined,
    deletedAt: now + 1,
  }));
  const target = await database();
  await writeImport(target, { ...read, servers, audit }, nothing);
  const store = await openStore({ url: target });
  assert.is((await store.servers()).length, 1500);
  assert.is((await store.auditRows(now, now + 1)).length, 12_000);
  await store.close();
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import type { LiveBatch } from '../domain/ports.ts';
import { seededRandom } from '../domain/random.ts';
import * as f from './fixtures.ts';
import { type PassPorts, runPass } from './pass.ts';
import { emptyMemory, type World } from './world.ts';

const x = f.chute('x', { effectiveComputeMultiplier: 2 });
const y = f.chute('y');
const gone = f.spec(y, f.servers.B);

/** Something to deploy, something to remove, an instance to delete and times to note. */
function busyWorld(): World {
  const removed = f.spec(f.chute('old'), f.servers.B, 4);
  const rows = [f.row(gone, { instanceGoneAt: f.now, runningAt: undefined }), f.row(removed, { removedAt: f.now })];
  return f.world({ chutes: [x], running: [gone], rows, pods: [f.pod(gone)] });
}

/** Every call but `propose` is a mistake. */
function scene(world: World, propose?: (batch: LiveBatch) => Promise<string>, seed = 1) {
  const batches: LiveBatch[] = [];
  const reports: string[] = [];
  const never = (name: string) => () => Promise.reject(new Error(`${name} was called`));
  const ports: PassPorts = {
    clock: { now: () => f.now },
    random: seededRandom(seed),
    look: async () => ({
      world,
      policy: f.policy({ mode: 'dry-run' }),
      configCommit: 'main',
      live: { commit: 'live', deployments: world.desired },
    }),
    link: {
      launch: never('launch'),
      cancel: never('cancel'),
      deleteInstance: never('deleteInstance'),
      releaseJob: never('releaseJob'),
    },
    repo: {
      readLive: never('readLive'),
      commitLive: never('commitLive'),
      async propose(batch) {
        batches.push(batch);
        return propose ? propose(batch) : 'proposed';
      },
    },
    store: {
      addLifecycle: never('addLifecycle'),
      mark: never('mark'),
      linkInstance: never('linkInstance'),
      markInstance: never('markInstance'),
      saveDecisions: never('saveDecisions'),
      decisions: never('decisions'),
    },
    report: (message) => void reports.push(message),
  };
  return { ports, batches, reports };
}

test('a dry run proposes what it would decide, and launches, commits, deletes and stores nothing', async () => {
  const { ports, batches } = scene(busyWorld());
  const result = await runPass(ports, emptyMemory);
  const told = (decisions: LiveBatch['decisions']) => decisions.map(({ kind, spec }) => `${kind} ${spec.chuteName}`);
  assert.equal(told(batches[0]?.decisions ?? []), ['remove y', 'deploy x']);
  assert.equal([batches[0]?.base, batches[0]?.configCommit], ['live', 'main']);
  assert.equal(told(result.proposed), ['remove y', 'deploy x']);
  assert.equal([result.committed, result.again], [[], false]);
});

test('the same world proposes the same, whatever the dice', async () => {
  const [one, two] = [scene(busyWorld()), scene(busyWorld(), undefined, 2)];
  await runPass(one.ports, emptyMemory);
  await runPass(two.ports, emptyMemory);
  const deploys = ({ batches }: typeof one) => batches[0]?.decisions.filter(({ kind }) => kind === 'deploy');
  assert.is(deploys(one)?.length, 1);
  assert.equal(deploys(one), deploys(two));
});

test('a swap is proposed as it would end: without the victims and with the newcomer', async () => {
  const small = f.server('b', { count: 1 });
  const old = f.spec(y, small);
  const rows = [f.row(old, { activatedAt: f.now - 200 * f.minute })];
  const rich = { ...x, effectiveComputeMultiplier: 50 };
  const market = new Map([[y.chuteId, { activeTotal: 5 }]]);
  const world = f.world({ chutes: [rich, y], servers: [small], running: [old], rows }, { market });
  const { ports, batches } = scene(world);
  await runPass(ports, emptyMemory);
  assert.equal(
    batches[0]?.decisions.map(({ kind, spec }) => [kind, spec.chuteName, spec.gpuIds]),
    [
      ['remove', 'y', old.gpuIds],
      ['deploy', 'x', old.gpuIds],
    ],
  );
});

test('with nothing to decide, nothing is what stands proposed', async () => {
  const { ports, batches } = scene(f.world({}));
  await runPass(ports, emptyMemory);
  assert.equal(batches[0]?.decisions, []);
});

test('what is learned from failures waits for the next real pass; what is missing is remembered', async () => {
  const spec = f.spec(x, f.servers.B);
  const long = f.row(spec, { committedAt: f.now - 60 * f.minute, plannedAt: f.now - 60 * f.minute });
  const { ports } = scene(f.world({ chutes: [x], running: [spec], rows: [long], pods: [] }));
  const { memory } = await runPass(ports, emptyMemory);
  assert.equal([...memory.missing.keys()], [`pod:${spec.deploymentId}`]);
  assert.is(memory.failures.size, 0);
});

test('while nothing can be committed nothing is proposed, and it is told why', async () => {
  const { ports, batches } = scene(busyWorld());
  const { held, proposed } = await runPass({ ...ports, obstacle: async () => 'the git host is away' }, emptyMemory);
  assert.equal([held, proposed, batches], [['the git host is away'], [], []]);
});

test('a proposal that breaks a rule of the tree, or comes too late, is reported and the next pass tries anew', async () => {
  for (const code of ['E-GUARD', 'E-GIT-CONFLICT'] as const) {
    const { ports, reports } = scene(busyWorld(), () => Promise.reject(new MinerError(code, 'a GPU twice')));
    const { proposed } = await runPass(ports, emptyMemory);
    assert.equal(proposed, []);
    assert.equal(reports, ['nothing is proposed now: a GPU twice']);
  }
});

test.run();

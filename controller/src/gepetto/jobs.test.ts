import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../domain/random.ts';
import * as f from './fixtures.ts';
import { plan } from './plan.ts';
import { backOff, emptyMemory, type JobOffer, type Memory, type World } from './world.ts';

const rental = f.chute('rental', { jobOnly: true });
const one = f.server('b', { count: 1 });

function offer(change: Partial<JobOffer> = {}): JobOffer {
  return {
    jobId: f.id('job'),
    chuteId: rental.chuteId,
    gpuCount: 1,
    computeMultiplier: 2,
    diskGb: 30,
    excluded: [],
    attempted: false,
    ...change,
  };
}

function planned(job: JobOffer, change: Partial<World> = {}, memory: Memory = emptyMemory) {
  const world = f.world({ chutes: [rental], servers: [one] }, { jobs: new Map([[job.jobId, job]]), ...change });
  return plan(world, f.policy(), { now: () => f.now }, seededRandom(1), memory);
}

test('E15 a rental is placed with its id, its disk and protection', () => {
  const [decision] = planned(offer()).deploys;
  const { jobId, diskGb, preemptible, reason } = decision?.spec ?? {};
  assert.equal(
    { jobId, diskGb, preemptible, reason },
    { jobId: f.id('job'), diskGb: 30, preemptible: false, reason: 'job' },
  );
});

test('a rental gets the ports that its chute declares for jobs, each with a node port of its own; others get none of them', () => {
  const jobPorts = [
    { port: 2202, proto: 'TCP' },
    { port: 9000, proto: 'UDP' },
  ] as const;
  const ported = { ...rental, jobOnly: false, jobPorts };
  const chutes = new Map([[ported.chuteId, ported]]);
  const inside = (jobs: World['jobs']) => {
    const world = f.world({ chutes: [ported], servers: [one] }, { chutes, ...(jobs && { jobs }) });
    const [decision] = plan(world, f.policy(), { now: () => f.now }, seededRandom(1), emptyMemory).deploys;
    const ports = decision?.spec.ports ?? [];
    assert.is(new Set(ports.map(({ nodePort }) => nodePort)).size, ports.length);
    return ports.map(({ port, proto }) => `${proto} ${port}`);
  };
  const job = offer({ computeMultiplier: 100 });
  assert.equal(inside(new Map([[job.jobId, job]])), ['TCP 8000', 'TCP 8001', 'TCP 2202', 'UDP 9000']);
  assert.equal(inside(undefined), ['TCP 8000', 'TCP 8001']);
});

test('a rental uses as many GPUs as its offer says', () => {
  const two = f.server('b', { count: 2 });
  const [decision] = planned(offer({ gpuCount: 2 }), { servers: [two] }).deploys;
  assert.is(decision?.spec.gpuIds.length, 2);
});

for (const [name, change] of [
  ['E11 a rental that excludes us is left alone', { excluded: [f.miner] }],
  ['a rental of which the only attempt was used up is left alone', { attempted: true }],
  ['a rental that needs more disk than there is is left alone', { diskGb: 2000 }],
] as const) {
  test(name, () => assert.equal(planned(offer(change)).deploys, []));
}

test('a refused rental is not asked for again at once', () => {
  const memory = { ...emptyMemory, refusals: backOff(new Map(), f.id('job'), f.now, '409') };
  assert.equal(planned(offer(), {}, memory).deploys, []);
});

test('a rental that runs already is not taken twice', () => {
  const two = f.server('b', { count: 2 });
  const spec = f.spec(rental, two, 0, { jobId: f.id('job') });
  const lifecycles = new Map([[spec.deploymentId, f.row(spec)]]);
  const desired = new Map([[spec.deploymentId, spec]]);
  assert.equal(planned(offer(), { servers: [two], desired, lifecycles, pods: [f.pod(spec)] }).deploys, []);
});

test('E13 no free server and only a protected tenant: no token is asked for', () => {
  const shielded = f.chute('private', { preemptible: false });
  const spec = f.spec(shielded, one, 0, { preemptible: false });
  const world = f.world({ chutes: [rental, shielded], servers: [one], running: [spec] });
  const jobs = new Map([[f.id('job'), offer({ computeMultiplier: 100 })]]);
  const result = plan({ ...world, jobs }, f.policy(), { now: () => f.now }, seededRandom(1), emptyMemory);
  assert.equal([result.deploys, result.preemptions], [[], []]);
});

test.run();

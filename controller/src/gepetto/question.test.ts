import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as f from './fixtures.ts';
import { questionOf } from './question.ts';
import type { JobOffer } from './world.ts';

const x = f.chute('x');
const rental = f.chute('rental', { jobOnly: true, gpuCount: 2 });
const servers = [f.server('b', { count: 2 }), f.server('c'), f.server('d', { model: 'a6000' })];

function job(name: string, change: Partial<JobOffer> = {}): [string, JobOffer] {
  const terms = { chuteId: rental.chuteId, gpuCount: 2, computeMultiplier: 3, diskGb: 10, excluded: [] };
  return [f.id(name), { jobId: f.id(name), ...terms, attempted: false, ...change }];
}

test('a rental is asked about with its own terms, its chute never without one', () => {
  const jobs = new Map([job('open'), job('tried', { attempted: true }), job('unknown', { chuteId: f.id('nobody') })]);
  const { offers } = questionOf(f.world({ chutes: [x, rental], servers }, { jobs }), f.now);
  assert.equal(
    offers.map(({ key, job: terms }) => [key, terms]),
    [
      [x.chuteId, null],
      [f.id('open'), { id: f.id('open'), gpuCount: 2, multiplier: 3, diskGb: 10 }],
    ],
  );
});

test('all servers of a kind suit, and a chute that suits none, or may not run, is no question', () => {
  const other = f.chute('other', { supportedGpus: ['b200'] });
  const disabled = f.chute('disabled', { disabled: true });
  const { offers } = questionOf(f.world({ chutes: [x, other, disabled], servers }), f.now);
  assert.equal(
    offers.map(({ key, sites }) => [key, sites]),
    [[x.chuteId, [{ gpu: 'h100', servers: [0, 1] }]]],
  );
});

test('what runs there counts for its chute, but a rental does not, and one that is out of reach is not asked about', () => {
  const [one, two] = [
    f.spec(x, f.servers.B),
    f.spec(rental, f.servers.B, 2, { jobId: f.id('open'), preemptible: false }),
  ];
  const away = f.spec(x, f.server('away'));
  const sites = new Map([['b', { leavingAt: f.now + 5 }]]);
  const utilization = [f.utilization(x, { targetCount: 4, activeInstanceCount: 3 })];
  const parts = { chutes: [x, rental], servers: [f.servers.B], running: [one, two, away], utilization };
  const asked = questionOf(f.world(parts, { sites }), f.now);
  assert.is(asked.servers[0]?.leavingAt, f.now + 5);
  assert.equal(
    asked.deployments.map(({ deployment, chute }) => [deployment.id, chute.own, chute.wanted, chute.active]),
    [[one.deploymentId, 2, 4, 3]],
  );
});

test.run();

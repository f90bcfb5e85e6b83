import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeploymentLifecycle } from '../domain/deployment.ts';
import * as f from '../gepetto/fixtures.ts';
import { createSites, type SitesInput } from './sites.ts';

const day = 86_400_000;
const x = f.chute('x', { version: 'v2', image: 'user/x:2' });
const on = f.server('b');
const chutes = new Map([[x.chuteId, x]]);

function ran(change: Partial<DeploymentLifecycle> = {}): DeploymentLifecycle {
  const spec = f.spec(x, on, 0);
  const never = { runningAt: undefined, activatedAt: undefined, removedAt: undefined, goneAt: undefined };
  return { ...f.row(spec), ...never, version: 'v2', runningAt: f.now - day, ...change };
}

function input(rows: DeploymentLifecycle[], change: Partial<SitesInput> = {}): SitesInput {
  return { servers: [on], configured: new Map(), chutes, rows, cacheDays: 30, now: f.now, ...change };
}

test('the image is there once the pod ran, the model once the chute was active', () => {
  const facts = (row: DeploymentLifecycle) => {
    const site = createSites()(input([row])).get('b');
    return [[...(site?.images ?? [])], [...(site?.models ?? [])]];
  };
  assert.equal(facts(ran({ runningAt: undefined })), [[], []]);
  assert.equal(facts(ran()), [['user/x:2'], []]);
  assert.equal(facts(ran({ activatedAt: f.now })), [['user/x:2'], [x.chuteId]]);
  assert.equal(
    facts(ran({ version: 'v1', activatedAt: f.now })),
    [[], [x.chuteId]],
    'of another version the image is unknown',
  );
});

test('what went stays known until the cache is cleaned', () => {
  const sites = createSites();
  const row = ran({ activatedAt: f.now - day, removedAt: f.now - 5 * day, goneAt: f.now - 5 * day });
  assert.is(sites(input([row])).get('b')?.models?.size, 1);
  assert.is(sites(input([], { now: f.now + 24 * day })).get('b')?.models?.size, 1);
  assert.is(sites(input([], { now: f.now + 26 * day })).has('b'), false);
});

test('the facts of a server stay the same object until they say something else', () => {
  const sites = createSites();
  const first = sites(input([ran()])).get('b');
  assert.is(sites(input([ran()], { now: f.now + 1 })).get('b'), first);
  assert.is.not(sites(input([ran({ activatedAt: f.now })])).get('b'), first);
});

test('a server that was added anew under its name starts empty', () => {
  const sites = createSites();
  assert.is(sites(input([ran()])).size, 1);
  assert.is(sites(input([], { servers: [{ ...on, serverId: 'other' }] })).size, 0);
});

test('speeds are what people wrote down; a server of which nothing is known has no facts', () => {
  const configured = new Map([['b', { netMbps: 10_000, diskReadGbps: 3 }]]);
  const site = createSites()(input([], { configured })).get('b');
  assert.equal([site?.netMbps, site?.diskReadGbps], [10_000, 3]);
  assert.is(createSites()(input([])).size, 0);
});

test.run();

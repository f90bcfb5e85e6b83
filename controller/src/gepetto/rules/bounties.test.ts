// gepetto.md 9.3: bounties and preemption. N is the new chute (EM 2.0, one GPU unless stated); its only suitable server is full.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Chute } from '../../domain/chute.ts';
import type { DeploymentLifecycle, DeploymentSpec } from '../../domain/deployment.ts';
import { seededRandom } from '../../domain/random.ts';
import type { Server } from '../../domain/server.ts';
import * as f from '../fixtures.ts';
import { type Plan, plan } from '../plan.ts';
import { emptyMemory, type World } from '../world.ts';

interface Victim {
  name: string;
  /** Multiplier it earns. */
  cm: number;
  gpus?: number;
  ageMinutes?: number;
  spec?: Partial<DeploymentSpec>;
  row?: Partial<DeploymentLifecycle>;
  chute?: Partial<Chute>;
}

interface Given {
  newcomer?: Partial<Chute>;
  /** By server: who sits there. */
  on: readonly (readonly [Server, readonly Victim[]])[];
  /** Active instances of all miners by chute name; 2 unless given. */
  global?: Readonly<Record<string, number>>;
  /** Chutes of rows of N itself. */
  change?: (world: World, newcomer: Chute) => World;
}

const old = 300;

function sceneOf({ newcomer = {}, on, global = {}, change }: Given): { world: World; n: Chute } {
  const n = f.chute('n', { effectiveComputeMultiplier: 2, ...newcomer });
  const chutes = new Map([[n.chuteId, n]]);
  const running: DeploymentSpec[] = [];
  const rows: DeploymentLifecycle[] = [];
  const instances = [];
  for (const [server, victims] of on) {
    let from = 0;
    for (const { name, cm, gpus = 1, ageMinutes = old, spec: specChange, row: rowChange, chute: own } of victims) {
      const chute = f.chute(name, { gpuCount: gpus, effectiveComputeMultiplier: cm, ...own });
      chutes.set(chute.chuteId, chute);
      const spec = f.spec(chute, server, from, { preemptible: chute.preemptible, ...specChange });
      from += gpus;
      const row = f.row(spec, { activatedAt: f.now - ageMinutes * f.minute, ...rowChange });
      running.push(spec);
      rows.push(row);
      instances.push(f.instance(row, { computeMultiplier: cm }));
    }
  }
  const blocked = [...chutes.values()].filter((chute) => chute.chuteId !== n.chuteId);
  const world = f.world({
    chutes: [...chutes.values()],
    servers: on.map(([server]) => server),
    running,
    rows,
    instances,
    utilization: blocked.map((chute) => f.utilization(chute, { scalable: false })),
  });
  const feeds = world.feeds.get(f.validator);
  assert.ok(feeds);
  const items = new Map(
    blocked.flatMap(({ chuteId, name }) =>
      Array.from({ length: global[name] ?? 2 }, (_, i) => {
        const instanceId = f.id(`${name} ${i}`);
        return [instanceId, { instanceId, chuteId, computeMultiplier: 1 }] as const;
      }),
    ),
  );
  const full = {
    ...world,
    feeds: new Map([[f.validator, { ...feeds, globalInstances: { fetchedAt: f.now, items } }]]),
  };
  return { world: change ? change(full, n) : full, n };
}

function planned(given: Given): Plan {
  return plan(sceneOf(given).world, f.policy(), { now: () => f.now }, seededRandom(1), emptyMemory);
}

/** `n@server` for a plain deploy, `n@server for a, b` with its victims. */
function outcome(given: Given): string[] {
  const result = planned(given);
  return [
    ...result.deploys.map(({ spec }) => `${spec.chuteName}@${spec.server}`),
    ...result.preemptions.map(({ deploy, victims }) => {
      const names = victims.map(({ spec }) => spec.chuteName).sort();
      return `${deploy.spec.chuteName}@${deploy.spec.server} for ${names.join(', ')}`;
    }),
  ];
}

const one = f.server('b', { count: 1 });
const poor = { name: 'v', cm: 0.5 };

interface Row {
  name: string;
  given: Given;
  expected: string[];
}

const rows: Row[] = [
  {
    name: 'B1 a free GPU is taken before anybody is removed',
    given: { on: [[f.server('b', { count: 2 }), [poor]]] },
    expected: ['n@b'],
  },
  {
    name: 'B3 a chute that the feed does not have is not placed',
    given: {
      on: [[one, [poor]]],
      change: (w, n) => ({ ...w, chutes: new Map([...w.chutes].filter(([k]) => k !== n.chuteId)) }),
    },
    expected: [],
  },
  {
    name: 'B4 a victim before the end of its first hour stays',
    given: { on: [[one, [{ ...poor, ageMinutes: 60 }]]] },
    expected: [],
  },
  {
    name: 'B4 B10 a victim of 62:01 goes, though the list of all miners does not have it: two others of its chute are there',
    given: { on: [[one, [{ ...poor, ageMinutes: 62 + 1 / 60 }]]] },
    expected: ['n@b for v'],
  },
  { name: 'B5 a victim that earns as much stays', given: { on: [[one, [{ ...poor, cm: 2 }]]] }, expected: [] },
  { name: 'B6 the only instance on the network stays', given: { on: [[one, [poor]]], global: { v: 1 } }, expected: [] },
  {
    name: 'B7 two victims of one chute of which the network has two: none',
    given: {
      newcomer: { gpuCount: 2 },
      on: [
        [
          f.server('b', { count: 2 }),
          [
            { name: 'v', cm: 0.2 },
            { name: 'v', cm: 0.2 },
          ],
        ],
      ],
    },
    expected: [],
  },
  {
    name: 'B8 of which the network has three: both',
    given: {
      newcomer: { gpuCount: 2 },
      on: [
        [
          f.server('b', { count: 2 }),
          [
            { name: 'v', cm: 0.2 },
            { name: 'v', cm: 0.2 },
          ],
        ],
      ],
      global: { v: 3 },
    },
    expected: ['n@b for v, v'],
  },
  {
    name: 'B9 a private victim stays',
    given: { on: [[one, [{ ...poor, chute: { preemptible: false } }]]] },
    expected: [],
  },
  { name: 'B9 a job stays', given: { on: [[one, [{ ...poor, spec: { jobId: f.id('job') } }]]] }, expected: [] },
  {
    name: 'B9 what is not active yet stays',
    given: { on: [[one, [{ ...poor, row: { activatedAt: undefined } }]]] },
    expected: [],
  },
  {
    name: 'B9 an instance of the same chute stays',
    given: { on: [[one, [{ name: 'n', cm: 0.5 }]]], global: { n: 5 } },
    expected: [],
  },
  {
    name: 'B11 an empty list of the instances of all miners protects everybody',
    given: { on: [[one, [poor]]], global: { v: 0 } },
    expected: [],
  },
  {
    name: 'B12 W12 eight victims that together earn more than the newcomer stay',
    given: {
      newcomer: { gpuCount: 8, effectiveComputeMultiplier: 1 },
      on: [[f.server('b'), Array.from({ length: 8 }, (_, i) => ({ name: `v${i}`, cm: 0.9 }))]],
    },
    expected: [],
  },
  {
    name: 'B13 no victim goes that need not',
    given: {
      newcomer: { gpuCount: 4, effectiveComputeMultiplier: 8 },
      on: [
        [
          f.server('b', { count: 5 }),
          [
            { name: 'v1', cm: 0.1 },
            { name: 'v2', cm: 0.5, gpus: 4 },
          ],
        ],
      ],
    },
    expected: ['n@b for v2'],
  },
  {
    name: 'B14 a dearer server that is free beats victims',
    given: {
      on: [
        [one, [{ ...poor, cm: 1.9 }]],
        [f.server('c', { count: 1, hourlyCost: 2.4 }), []],
      ],
    },
    expected: ['n@c'],
  },
  {
    name: 'B15 of two servers the one that loses less',
    given: {
      on: [
        [one, [{ name: 'v', cm: 1.5 }]],
        [f.server('c', { count: 1, hourlyCost: 2.4 }), [{ name: 'w', cm: 0.2 }]],
      ],
    },
    expected: ['n@c for w'],
  },
  {
    name: 'B17 W7 victims of a member that is not healthy stay',
    given: {
      on: [[one, [poor]]],
      change: (w) => ({ ...w, health: new Map([['b', { state: 'unhealthy', since: 0, syncedAt: f.now }]]) }),
    },
    expected: [],
  },
  {
    name: 'B18 a GPU that is not verified is not free',
    given: {
      on: [
        [
          {
            ...f.server('b', { count: 2 }),
            gpus: f.server('b', { count: 2 }).gpus.map((g, i) => ({ ...g, verified: i === 0 })),
          },
          [{ ...poor, cm: 2 }],
        ],
      ],
    },
    expected: [],
  },
  {
    name: 'B19 an old instance counts with what its chute pays now',
    given: { on: [[one, [{ name: 'v', cm: 3, ageMinutes: 420, chute: { effectiveComputeMultiplier: 0.5 } }]]] },
    expected: ['n@b for v'],
  },
  {
    name: 'S13 a chute that is denied preempts nobody',
    given: { on: [[one, [poor]]], newcomer: { disabled: true } },
    expected: [],
  },
];

for (const { name, given, expected } of rows) test(name, () => assert.equal(outcome(given), expected));

test.run();

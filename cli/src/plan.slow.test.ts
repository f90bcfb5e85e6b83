// `plan`: saved from a miner, planned again without it, with and without a strategy of the owner's.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as f from '@miner/controller/gepetto/fixtures.ts';
import { emptyMemory } from '@miner/controller/gepetto/world.ts';
import { worldFileText } from '@miner/controller/gepetto/worldfile.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { prepare, type TestContext } from './testing/context.ts';
import { sendJson } from './testing/upstream.ts';

const test = suite<TestContext>('plan');
prepare(test);

const chutes = [f.chute('low'), f.chute('high', { effectiveComputeMultiplier: 3 })];
const world = f.world({ servers: [f.server('b', { count: 1 })], chutes });
const document = worldFileText({ now: f.now, policy: f.policy(), world, memory: emptyMemory });

function write({ folder }: TestContext, name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const offline = { MINER_API: 'http://127.0.0.1:9', HOTKEY: '' };

test('a saved world is planned without miner and hotkey, and the same each time', async (context) => {
  const file = write(context, 'world.json', document);
  const first = await context.cli(['plan', '--world', file, '--json'], { env: offline });
  assert.is(first.code, 0, first.stderr);
  const { decisions, held } = JSON.parse(first.stdout);
  assert.equal(
    decisions.map((one: { chute_name: string; server: string; strategy: string }) => [
      one.chute_name,
      one.server,
      one.strategy,
    ]),
    [['high', 'b', 'default']],
  );
  assert.equal(held, []);
  assert.is((await context.cli(['plan', '--world', file, '--json'], { env: offline })).stdout, first.stdout);
  const { stdout } = await context.cli(['plan', '--world', file]);
  assert.match(stdout, /deploy high on b \(\+1 → 1\): scale-up[\s\S]*strategy {4}default/);
});

test('a strategy changes what is planned for a saved world, and its name is shown', async (context) => {
  const file = write(context, 'world.json', document);
  const strategy = write(
    context,
    'strategy.ts',
    "import type { Veto } from './hooks.ts';\nexport const veto: Veto = ({ chute }) => chute.name === 'high';\n",
  );
  const { stdout } = await context.cli(['plan', '--world', file, '--strategy', strategy]);
  assert.match(stdout, /deploy low on b/);
  assert.ok(stdout.includes(strategy));
});

test('--save-world writes down what the miner sees, and it can be planned', async (context) => {
  const { upstream, cli, folder } = context;
  upstream.on('GET /plan/world', (_request, response) => {
    sendJson(response, 200, JSON.parse(document));
  });
  const file = join(folder, 'now.json');
  const saved = await cli(['plan', '--save-world', file]);
  assert.equal([saved.code, saved.stdout], [0, '']);
  assert.match(saved.stderr, /saved; chutes-miner plan --world .*now\.json plans it again/);
  assert.equal(JSON.parse(readFileSync(file, 'utf8')), JSON.parse(document));
  assert.is((await cli(['plan', '--world', file])).code, 0);
});

interface Case {
  what: string;
  args(context: TestContext): string[];
  says: RegExp;
}

const cases: Case[] = [
  { what: 'nothing asked', args: () => [], says: /plan needs one of --dry-run, --world and --save-world/ },
  { what: 'two things asked', args: () => ['--dry-run', '--world', 'x'], says: /plan needs one of/ },
  {
    what: 'a strategy for the miner',
    args: () => ['--dry-run', '--strategy', 'x'],
    says: /--strategy goes with --world/,
  },
  {
    what: 'no such file',
    args: () => ['--world', '/nonexistent.json'],
    says: /\/nonexistent\.json cannot be read: ENOENT/,
  },
  {
    what: 'no JSON',
    args: (context) => ['--world', write(context, 'a.json', '{\n"format": 1,\n}')],
    says: /a\.json:3: not valid JSON/,
  },
  {
    what: 'a wrong field',
    args: (context) => [
      '--world',
      write(context, 'a.json', document.replace('"hourlyCost": 2', '"hourlyCost": "cheap"')),
    ],
    says: /a\.json:\d+: world\.servers\[0\]\.hourlyCost: found "cheap", allowed: a number/,
  },
  {
    what: 'an unknown format',
    args: (context) => ['--world', write(context, 'a.json', document.replace('"format": 1', '"format": 2'))],
    says: /a\.json:2: format: found 2, allowed: 1/,
  },
  {
    what: 'no such strategy',
    args: (context) => ['--world', write(context, 'a.json', document), '--strategy', '/nonexistent.ts'],
    says: /--strategy: \/nonexistent\.ts cannot be read/,
  },
  {
    what: 'a strategy that fails',
    args: (context) => [
      '--world',
      write(context, 'a.json', document),
      '--strategy',
      write(context, 'bad.ts', 'export const score = () => null;'),
    ],
    says: /bad\.ts.*score gave null/,
  },
  {
    what: 'a file that cannot be written',
    args: ({ upstream }) => {
      upstream.on('GET /plan/world', {});
      return ['--save-world', '/nonexistent/now.json'];
    },
    says: /--save-world: \/nonexistent\/now\.json cannot be written: ENOENT/,
  },
];

for (const { what, args, says } of cases) {
  test(`${what}: exit 2 and one sentence`, async (context) => {
    const { code, stdout, stderr } = await context.cli(['plan', ...args(context)]);
    assert.is(code, 2, stderr);
    assert.is(stdout, '');
    assert.match(stderr, says);
  });
}

test.run();

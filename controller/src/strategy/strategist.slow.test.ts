// Strategies that do what they should not: each in its own process, and the default decides instead.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Question } from '../domain/advice.ts';
import type { StrategyFile } from '../domain/ports.ts';
import { limits } from './child.ts';
import { createStrategist, type StrategyOutcome } from './strategist.ts';
import { question } from './testing/question.ts';

let now = 0;
const quick = { ...limits, answerMs: 1500, memoryMb: 48 };

function fileOf(text: string): StrategyFile {
  return { path: 'strategy/strategy.ts', text, id: createHash('sha1').update(text).digest('hex') };
}

async function adviseOnce(text: string, asked: Question = question) {
  const strategist = createStrategist({ clock: { now: () => now }, limits: quick });
  try {
    const advised = await strategist.advise(fileOf(text), () => asked);
    assert.ok(advised);
    return advised;
  } finally {
    strategist.close();
  }
}

test('every hook is asked about everything it is for, and what it says is heard', async () => {
  const { advice, held } = await adviseOnce(`
    import type { Place, Score, Veto, Victims } from './hooks.ts';
    export const score: Score = ({ kind }) => (kind.gpu === 'h100' ? kind.freeGpus + kind.hourlyCost : undefined);
    export const place: Place = ({ server, now }) => (server.name === 'c' && now > 1 ? 1.5 : 1);
    export const veto: Veto = ({ chute, server }) => chute.name === 'llama' && server.gpu === 'a100';
    export function victims({ deployment }: Parameters<Victims>[0]) { return deployment.age > 2 ? 'keep' : 0; }
  `);
  assert.is(held, undefined);
  assert.match(advice.strategy, /^strategy\/strategy\.ts [0-9a-f]{8}$/);
  assert.equal(advice.offers.get('chute-1'), {
    score: new Map([['h100', 10]]),
    place: new Map([['c', 1.5]]),
    bestPlace: 1.5,
    veto: new Map([['a', true]]),
    closed: new Map([['a100', true]]),
  });
  assert.equal([...advice.deployments], [['deployment-1', 'keep']]);
});

test('hooks that return nothing say nothing', async () => {
  const { advice } = await adviseOnce(
    'export function score() {} export function place() {} export function victims() {}',
  );
  assert.equal([advice.offers.size, advice.deployments.size], [0, 0]);
});

const faults: [what: string, text: string, because: RegExp][] = [
  ['a syntax error', 'export const = 3', /SyntaxError/],
  ['a throw at load', 'throw new Error("not today")', /not today/],
  ['a hang at load', 'for (;;);', /took longer than 1500 ms/],
  ['a promise at load that never ends', 'await new Promise(() => {});', /was not loaded within 1500 ms/],
  [
    'an export that is no hook',
    'export const scor = () => 1;',
    /exports "scor"; hooks are score, place, veto, victims/,
  ],
  ['a hook that is no function', 'export const score = 3;', /exports score, which is 3 and no function/],
  [
    'a crash',
    'export function score({ job }) { return job.id.length; }',
    /score failed for llama on a100: TypeError.*strategy\.ts:1/,
  ],
  ['an infinite loop', 'export function veto() { for (;;); }', /took longer than 1500 ms/],
  ['an endless recursion', 'export function veto() { return veto(); }', /RangeError/],
  [
    'a memory bomb',
    'const a = []; export function score() { for (;;) a.push(new Array(1e5).fill(7)); }',
    /more than 48 MB|longer than 1500 ms|no answer within/,
  ],
  [
    'a bomb of text',
    'let a = "x"; const b = []; export function score() { for (;;) b.push((a += a + 1).split("")); }',
    /more than 48 MB|longer than 1500 ms|no answer within/,
  ],
  [
    'a number that is none',
    'export const score = () => 0 / 0;',
    /score gave NaN for llama on a100; allowed: a number from 0 to 1000/,
  ],
  ['a number below 0', 'export const place = () => -1;', /place gave -1 for llama on a; allowed/],
  ['a number without end', 'export const score = () => Infinity;', /score gave Infinity/],
  ['a text', 'export const score = () => "much";', /score gave "much"/],
  ['a promise', 'export const score = async () => 2;', /score gave \{\}/],
  ['a veto that is a text', 'export const veto = () => "no";', /veto gave "no" for llama on a; allowed: true or false/],
  ['a victim with a wrong word', 'export const victims = () => "always";', /victims gave "always".*or "keep"/],
  [
    'an answer in a forged world',
    'Object.defineProperty(Object.prototype, "toJSON", { value: () => 5 });\nexport const score = () => 2;',
    /answer is wrong at/,
  ],
  ['something thrown that is no error', 'export function score() { throw 3; }', /it threw 3/],
];
for (const [what, text, because] of faults) {
  test(`${what}: the default decides, and the report says why`, async () => {
    const { advice, held } = await adviseOnce(text);
    assert.equal([advice.offers.size, advice.deployments.size], [0, 0]);
    assert.match(advice.strategy, /^default instead of strategy\/strategy\.ts [0-9a-f]{8}$/);
    assert.match(held ?? '', /^strategy\/strategy\.ts [0-9a-f]{8} cannot be used, the default strategy decides: /);
    assert.match(held ?? '', because);
  });
}

process.env.STRATEGY_TEST_SECRET = 'never seen';
const attempts: [what: string, code: string][] = [
  ['the environment', 'process.env.STRATEGY_TEST_SECRET'],
  ['the environment through the global object', 'globalThis.process.env'],
  ['a module', 'require("node:fs").readFileSync("/etc/passwd")'],
  ['a built-in module', 'process.getBuiltinModule("node:fs")'],
  ['the network', 'fetch("http://127.0.0.1:PORT/")'],
  ['a socket', 'new WebSocket("ws://127.0.0.1:PORT/")'],
  ['code from text', '(() => {}).constructor("return process")()'],
  ['code from text, indirectly', '(0, eval)("process")'],
  ['the world outside through the question', 'input.constructor.constructor("return process")()'],
  ['the clock', 'new Date().getTime()'],
  ['dice', 'Math.random()'],
  ['memory outside the heap', 'new Uint8Array(1e9).fill(1)'],
  ['compiled code', 'new WebAssembly.Memory({ initial: 1 })'],
  ['a timer', 'setTimeout(() => {}, 1)'],
];

test('nothing but the language is within reach of a strategy', async () => {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests += 1;
    response.end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const port = String((server.address() as AddressInfo).port);
  const strategist = createStrategist({ clock: { now: () => now }, limits: quick });
  try {
    for (const [what, code] of attempts) {
      const attempt = code.replace('PORT', port);
      const text = `export function score(input) { const found = ${attempt}; return 2; }`;
      const advised = await strategist.advise(fileOf(text), () => question);
      assert.match(advised?.held ?? `${what} was reached`, /ReferenceError|TypeError|EvalError/);
      assert.not.match(advised?.held ?? '', /never seen/);
    }
  } finally {
    strategist.close();
    server.close();
  }
  assert.is(requests, 0);
});

for (const [what, text] of [
  ['an import', 'import { readFileSync } from "node:fs"; export const score = () => 1;'],
  ['a re-export', 'export { readFileSync as score } from "node:fs";'],
  ['import()', 'export const score = () => { import("node:fs"); return 1; };'],
  ['import() in disguise', 'export const score = () => { import /* so */ // or\n ("node:fs"); return 1; };'],
  ['import.meta', 'export const score = () => import.meta.url.length;'],
] as const) {
  test(`${what} is refused at load`, async () => {
    assert.match((await adviseOnce(text)).held ?? '', /it imports "node:fs"|it uses import\(\) or import\.meta/);
  });
}

test('what fails is left alone for a while, tried again then, and at once when the file changes', async () => {
  const outcomes: StrategyOutcome[] = [];
  const strategist = createStrategist({
    clock: { now: () => now },
    limits: quick,
    onOutcome: (outcome) => outcomes.push(outcome),
  });
  const bad = fileOf('export const score = () => -1;');
  const good = fileOf('export const score = () => 2;');
  const again = async (file: StrategyFile) => (await strategist.advise(file, () => question))?.held === undefined;
  assert.not(await again(bad));
  now += 59_000;
  assert.not(await again(bad));
  now += 1000;
  assert.not(await again(bad));
  now += 60_000;
  assert.not(await again(bad));
  assert.ok(await again(good));
  assert.ok(await again(good));
  assert.is(await strategist.advise(undefined, () => question), undefined);
  strategist.close();
  assert.equal(outcomes, ['failed', 'suspended', 'failed', 'suspended', 'answered', 'answered']);
});

test('a strategy goes on after a thousand questions, and says the same to the same question', async () => {
  const strategist = createStrategist({ clock: { now: () => now } });
  const file = fileOf('export const score = ({ chute, kind }) => chute.multiplier / kind.hourlyCost;');
  const first = await strategist.advise(file, () => question);
  for (let i = 0; i < 1000; i++) assert.equal(await strategist.advise(file, () => question), first);
  strategist.close();
});

test.run();

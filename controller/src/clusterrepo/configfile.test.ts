import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { minerConfig, serverConfig } from '../domain/config.ts';
import { MinerError } from '../domain/errors.ts';
import { longestFile, parseYamlFile } from './configfile.ts';
import { miner, validator } from './testing/fixture.ts';

const head = `hotkey: ${miner}
validators:
  - hotkey: ${validator}
    registry: registry.chutes.ai
    api: https://api.chutes.ai
    socket: wss://ws.chutes.ai
`;

function problemsOf(text: string): string[] {
  try {
    parseYamlFile(text, 'miner.yaml', minerConfig);
  } catch (error) {
    assert.instance(error, MinerError);
    assert.is((error as MinerError).code, 'E-CONFIG');
    return (error as MinerError).message.split('\n');
  }
  return [];
}

test('a valid file gives the value with its defaults', () => {
  const config = parseYamlFile(head, 'miner.yaml', minerConfig);
  assert.is(config.policy.mode, 'active');
  assert.is(config.registry.port, 30500);
});

test('a problem names file, line, field, what was found and what is allowed', () => {
  const cases: [string, string][] = [
    [
      `${head}policy:\n  mode: activ\n`,
      'miner.yaml:8: policy.mode: found "activ", allowed: "active", "paused", "dry-run"',
    ],
    [`${head}policy:\n  launchesPerPass: 0\n`, 'miner.yaml:8: policy.launchesPerPass: found 0, allowed: at least 1'],
    [
      `${head}policy:\n  launchesPerPass: 1.5\n`,
      'miner.yaml:8: policy.launchesPerPass: found 1.5, allowed: a whole number',
    ],
    [`${head}policy:\n  removalShare: 0\n`, 'miner.yaml:8: policy.removalShare: found 0, allowed: more than 0'],
    [`${head}policy:\n  removalShare: 1.2\n`, 'miner.yaml:8: policy.removalShare: found 1.2, allowed: at most 1'],
    [`${head}shutdownSeconds: 3m\n`, 'miner.yaml:7: shutdownSeconds: found "3m", allowed: a number'],
    [
      `${head}policy:\n  denyChutes: [a]\n`,
      'miner.yaml:8: policy.denyChutes[0]: found "a", allowed: a chute id (UUID)',
    ],
    [`${head}registry: yes\n`, 'miner.yaml:7: registry: found "yes", allowed: a map of fields'],
    [head.replace(`hotkey: ${miner}\n`, ''), 'miner.yaml:1: hotkey: found nothing, allowed: text'],
    [
      head.replace('    api: https://api.chutes.ai\n', ''),
      'miner.yaml:3: validators[0].api: found nothing, allowed: text',
    ],
    [
      head.replace('https://api', 'ftp://api'),
      'miner.yaml:5: validators[0].api: found "ftp://api.chutes.ai", allowed: a URL (https?)',
    ],
    [`hotkey: ${miner}\nvalidators: []\n`, 'miner.yaml:2: validators: found a list of 0, allowed: at least 1 entry'],
    ['', 'miner.yaml:1: found nothing, allowed: a map of fields'],
    ['- a\n', 'miner.yaml:1: found a list of 1, allowed: a map of fields'],
  ];
  for (const [text, message] of cases) assert.equal(problemsOf(text), [message]);
});

test('rules for chutes and servers are checked like all else, contradictions too', () => {
  const x = '1b2c3d4e-0000-4000-8000-000000000001';
  const of = (id: string, rules: string) => `${head}policy:\n  chutes:\n    ${id}:\n      ${rules}\n`;
  const cases: [string, string][] = [
    [
      of(x, 'maximun: 1'),
      `miner.yaml:10: policy.chutes.${x}.maximun: found an unknown field, allowed: maximum (is that what you mean?)`,
    ],
    [of('llama', 'maximum: 1'), 'miner.yaml:9: policy.chutes.llama: found "llama", allowed: a chute id (UUID)'],
    [
      of(x, 'maximum: 1\n      minimum: 2'),
      `miner.yaml:11: policy.chutes.${x}.minimum: found 2, allowed: at most 1, its maximum`,
    ],
    [`${head}policy:\n  costCeiling: -1\n`, 'miner.yaml:8: policy.costCeiling: found -1, allowed: at least 0'],
    [
      `${head}policy:\n  timeZone: Berlin\n`,
      'miner.yaml:8: policy.timeZone: found "Berlin", allowed: a time zone such as Europe/Berlin',
    ],
    [
      `${head}policy:\n  schedule:\n    - from: 22:00\n      to: 6:00\n      set: {mode: paused}\n`,
      'miner.yaml:10: policy.schedule[0].to: found "6:00", allowed: a time from "00:00" to "24:00"',
    ],
    [
      `${head}policy:\n  schedule:\n    - from: 22:00\n      to: 06:00\n      set: {mod: paused}\n`,
      'miner.yaml:11: policy.schedule[0].set.mod: found an unknown field, allowed: mode (is that what you mean?)',
    ],
  ];
  for (const [text, message] of cases) assert.equal(problemsOf(text), [message]);
});

test('an unknown field is found on its line, with the name that was meant', () => {
  const cases: [string, string][] = [
    [
      `${head}policy:\n  mode: active\n  denyChute: []\n`,
      'miner.yaml:9: policy.denyChute: found an unknown field, allowed: denyChutes (is that what you mean?)',
    ],
    [`${head}polcy: {}\n`, 'miner.yaml:7: polcy: found an unknown field, allowed: policy (is that what you mean?)'],
    [
      `${head}cache:\n  xyz: 1\n`,
      'miner.yaml:8: cache.xyz: found an unknown field, allowed: maxAgeDays, maxSizeGb, minFreeGb, schedule, dryRun, resources',
    ],
    [
      head.replace('socket:', 'sockets: a\n    socket:'),
      'miner.yaml:6: validators[0].sockets: found an unknown field, allowed: socket (is that what you mean?)',
    ],
  ];
  for (const [text, message] of cases) assert.equal(problemsOf(text), [message]);
});

test('syntax errors name their line', () => {
  const cases: [string, RegExp][] = [
    [`${head}policy:\n  mode: [active\n`, /^miner\.yaml:\d+: not valid YAML: /],
    [`${head}hotkey: again\n`, /^miner\.yaml:7: not valid YAML: .*unique/],
    [`${head}policy: &p {}\ncache: *p\n`, /^miner\.yaml:8: an alias/],
    [`${head}policy: !env MODE\n`, /^miner\.yaml:7: not valid YAML/],
    [`${head}---\na: 1\n`, /^miner\.yaml:7: not valid YAML: .*multiple documents/],
    [`a: "${'x'.repeat(longestFile)}"\n`, /^miner\.yaml:1: found a file of \d+ bytes, allowed: at most 262144 bytes/],
  ];
  for (const [text, pattern] of cases) assert.match(problemsOf(text)[0] ?? 'no problem', pattern);
});

test('nested aliases are refused before they are expanded', () => {
  const levels = Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`);
  const started = performance.now();
  assert.match(problemsOf(`a0: &a0 [x]\n${levels.join('\n')}\n`)[0] ?? '', /an alias/);
  assert.ok(performance.now() - started < 1000);
});

test('all problems are reported at once, as text and as data', () => {
  try {
    parseYamlFile(`${head}policy:\n  mode: on\n  removalShare: 7\nshutdownSecond: 1\n`, 'miner.yaml', minerConfig);
    assert.unreachable();
  } catch (error) {
    const { message, detail } = error as MinerError;
    assert.is(message.split('\n').length, 3);
    assert.equal(
      ((detail?.problems ?? []) as { line: number; field: string }[]).map(({ line, field }) => [line, field]),
      [
        [8, 'policy.mode'],
        [9, 'policy.removalShare'],
        [10, 'shutdownSecond'],
      ],
    );
  }
});

test('what looks like a key or a seed phrase is not repeated in the message', () => {
  const secrets = [
    'ab'.repeat(32),
    `0x${'12'.repeat(32)}`,
    'legal winner thank year wave sausage worth useful legal winner thank yellow',
  ];
  for (const secret of secrets) {
    const message = problemsOf(head.replace(miner, `"${secret}"`)).join('\n');
    assert.match(message, 'what looks like a secret');
    assert.not.match(message, secret);
    assert.not.match(problemsOf(`${head}seed: "${secret}"\n`).join('\n'), secret);
  }
});

test('a server file is read with the same care', () => {
  const text = `name: gpu-01\nvalidator: ${validator}\nhourlyCost: free\ngpuShortRef: H100\nagentApi: http://192.0.2.1:32000\n`;
  try {
    parseYamlFile(text, 'servers/gpu-01.yaml', serverConfig);
    assert.unreachable();
  } catch (error) {
    assert.equal((error as MinerError).message.split('\n'), [
      'servers/gpu-01.yaml:3: hourlyCost: found "free", allowed: a number',
      'servers/gpu-01.yaml:4: gpuShortRef: found "H100", allowed: a short ref such as h100_sxm',
    ]);
  }
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { manualClock, miner, validator } from './fixtures.ts';
import { commandFault, inspectPod } from './honesty.ts';
import { createMember } from './member.ts';
import type { Container } from './podspec.ts';
import { createLedger } from './record.ts';
import { makeServers } from './servers.ts';

const rules = { minerHotkey: miner.hotkey, validatorHotkey: validator.hotkey };
const [server] = makeServers(1, 1) as [ReturnType<typeof makeServers>[number]];
const tail = ['--miner-ss58', miner.hotkey, '--validator-ss58', validator.hotkey];
const start = ['chutes', 'run', 'app:chute', '--port', '8000'];

const commands: [what: string, words: string[], hasToken: boolean, right: boolean][] = [
  ['the exact command', [...start, ...tail], true, true],
  ['the seed without a token', [...start, '--graval-seed', '123', ...tail], false, true],
  ['the seed beside a token', [...start, '--graval-seed', '123', ...tail], true, false],
  ['no seed without a token', [...start, ...tail], false, false],
  ['a shell around it', ['/bin/sh', '-c', [...start, ...tail].join(' ')], true, false],
  ['an extra argument', [...start, ...tail, '--debug'], true, false],
  ['another port', ['chutes', 'run', 'app:chute', '--port', '8001', ...tail], true, false],
  ['a file for a reference', ['chutes', 'run', 'app.py', '--port', '8000', ...tail], true, false],
  ['swapped keys', [...start, '--miner-ss58', validator.hotkey, '--validator-ss58', miner.hotkey], true, false],
];
for (const [what, words, hasToken, right] of commands) {
  test(`PID 1 with ${what} is ${right ? 'right' : 'wrong'}`, () => {
    const container: Container = {
      name: 'chute',
      image: 'x',
      command: words,
      args: [],
      env: [],
      resources: { requests: {}, limits: {} },
    };
    assert.is(commandFault(container, hasToken, rules) === undefined, right);
  });
}

const gpu = (index: number) => `GPU-${server.gpuIds[index]}`;

interface PodFields {
  name: string;
  devices?: string;
  image?: string;
  token?: object;
  spec?: object;
  labels?: Record<string, string>;
  requests?: Record<string, string>;
}

function inspected(...pods: PodFields[]): string[] {
  const clock = manualClock();
  const ledger = createLedger(
    () => clock.now(),
    () => {},
  );
  const member = createMember(server, { clock, random: Math.random, onPortConflict: () => {} });
  const ports = [{ port: 8000, nodePort: 30001 }];
  member.create('services', { metadata: { name: 'chute-service-a' }, spec: { type: 'NodePort', selector: {}, ports } });
  for (const fields of pods) {
    const labels = { 'chutes/chute': 'true', 'chutes/deployment-id': 'a', ...fields.labels };
    const token = fields.token ?? { valueFrom: { secretKeyRef: { name: 'launch-a', key: 'token' } } };
    const container = {
      name: 'chute',
      image: fields.image ?? `${validator.hotkey.toLowerCase()}.localregistry.chutes.ai:30500/user/app:1`,
      command: [...start, ...tail],
      env: [
        { name: 'CHUTES_LAUNCH_JWT', ...token },
        { name: 'CHUTES_NVIDIA_DEVICES', value: fields.devices ?? gpu(0) },
      ],
      resources: { requests: fields.requests ?? {} },
    };
    const pod = { metadata: { name: fields.name, labels }, spec: { containers: [container], ...fields.spec } };
    inspectPod(member.create('pods', pod), member, rules, ledger);
  }
  return ledger.violations().map(({ code }) => code);
}

const pods: [what: string, pods: PodFields[], codes: string[]][] = [
  ['a proper pod', [{ name: 'a' }], []],
  ['two pods on different GPUs', [{ name: 'a' }, { name: 'b', devices: gpu(1) }], []],
  [
    'two pods on one GPU',
    [
      { name: 'a', devices: `${gpu(0)},${gpu(1)}` },
      { name: 'b', devices: gpu(1) },
    ],
    ['gpu-shared'],
  ],
  ['a GPU of another server', [{ name: 'a', devices: `GPU-${'0'.repeat(32)}` }], ['gpu-unknown']],
  [
    'a verification beside a chute',
    [
      { name: 'a' },
      { name: 'g', devices: '', labels: { 'chutes/chute': 'false' }, requests: { 'nvidia.com/gpu': '8' } },
    ],
    ['gpu-shared'],
  ],
  ['an image from elsewhere', [{ name: 'a', image: 'docker.io/user/app:1' }], ['image']],
  ['a literal token', [{ name: 'a', token: { value: 'x' } }], ['token-in-env']],
  ['no service links', [{ name: 'a', spec: { enableServiceLinks: false } }], ['service-links']],
  ['no Service yet', [{ name: 'a', labels: { 'chutes/deployment-id': 'other' } }], ['service-order']],
];
for (const [what, fields, codes] of pods) {
  test(`${what}: ${codes.join(', ') || 'nothing to report'}`, () => assert.equal(inspected(...fields), codes));
}

test('a broken rule is reported once', () => {
  const ledger = createLedger(
    () => 0,
    () => {},
  );
  ledger.violation('image', 'x');
  ledger.violation('image', 'x');
  ledger.violation('image', 'y');
  assert.is(ledger.violations().length, 2);
});

test.run();

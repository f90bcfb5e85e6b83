import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServerConfig } from '../domain/config.ts';
import { MinerError } from '../domain/errors.ts';
import { answerWith, type Context, useScene } from './testing/context.ts';
import { miner } from './testing/ports.ts';

const test = suite<Context>('checks before a node is added');
useScene(test);

interface Case {
  what: string;
  request?: Partial<ServerConfig>;
  set?: (context: Context) => void;
  expected: RegExp;
}

function agentAnswers(answer: [number, string] | undefined): (context: Context) => void {
  return ({ services }) => {
    services.kubeconfig = answer;
  };
}

const cases: Case[] = [
  {
    what: 'an agent that is not there',
    request: { agentApi: 'http://127.0.0.1:1' },
    expected: /^E-AGENT-UNREACHABLE /,
  },
  { what: 'an agent that hangs up', set: agentAnswers(undefined), expected: /^E-AGENT-UNREACHABLE / },
  { what: 'an agent that refuses', set: agentAnswers([403, '{}']), expected: /^E-AGENT-UNREACHABLE .*403/ },
  { what: 'an agent without one', set: agentAnswers([200, '{"kubeconfig":""}']), expected: /^E-AGENT-UNREACHABLE / },
  {
    what: 'text that is none',
    set: agentAnswers([200, '{"kubeconfig":"secret-token: ["}']),
    expected: /^E-AGENT-UNREACHABLE /,
  },
  {
    what: 'a kubeconfig of another server',
    set: (context) => answerWith(context, 'gpu-9'),
    expected: /^E-NAME-CONTEXT .*it has: gpu-9/,
  },
  {
    what: 'a node that cannot be read',
    set: ({ scene }) => {
      scene.nodeProblem = new Error('forbidden');
    },
    expected: /^E-NODE .*forbidden/,
  },
  { what: 'a validator that is not configured', request: { validator: miner.address }, expected: /^E-USAGE / },
  {
    what: 'a validator that is away',
    set: ({ scene }) => {
      scene.validatorProblem = new MinerError('E-VALIDATOR-UNREACHABLE', 'away');
    },
    expected: /^E-VALIDATOR-UNREACHABLE /,
  },
  { what: 'an unknown short ref', request: { gpuShortRef: 'h900' }, expected: /^E-GPU-REF .*h900.*: h100_sxm, l4/ },
];

for (const { what, request = {}, set, expected } of cases) {
  test(`${what} is refused before anything is reported, and nothing stays`, async (context) => {
    set?.(context);
    const outcome = await context.add(request);
    assert.match(outcome, expected);
    assert.not(outcome.includes('secret-token'));
    assert.equal(context.messages, []);
    assert.equal([...context.scene.members.keys()], []);
    assert.not(context.scene.done.some((call) => call.startsWith('addServer')));
  });
}

test('a name that is in the inventory is refused and its member is left alone', async ({ scene, add }) => {
  await add();
  scene.done.length = 0;
  assert.match(await add(), /^E-ALREADY-ADDED .*gpu-0 is already/);
  assert.equal(scene.done, []);
  assert.ok(scene.members.has('gpu-0'));
});

test('a node that is in the inventory under another name is refused', async (context) => {
  await context.add();
  answerWith(context, 'gpu-1');
  assert.match(await context.add({ name: 'gpu-1' }), /^E-ALREADY-ADDED .*as gpu-0/);
  assert.equal([...context.scene.members.keys()], ['gpu-0']);
});

test.run();

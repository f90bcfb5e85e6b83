import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { type Context, label, useScene } from './testing/context.ts';
import { device, miner, type Scene } from './testing/ports.ts';

const test = suite<Context>('verification by attestation');
useScene(test);

const asked: [url: string, headers: Record<string, string>][] = [];

test.before.each((context) => {
  asked.length = 0;
  label(context, { 'chutes/tee': 'true' });
  answers(context.scene, [200, ''], [200, JSON.stringify([device(1), device(2)])]);
});

/** One for each question; the last stays. An error means that nobody answers. */
function answers({ deps }: Scene, ...given: ([status: number, text: string] | Error)[]): void {
  deps.teeGet = async (url, headers) => {
    asked.push([url, headers]);
    const answer = given.length > 1 ? given.shift() : given[0];
    if (!answer || answer instanceof Error) throw answer ?? new Error('nobody');
    return { status: answer[0], text: answer[1] };
  };
}

test('a TEE server is added without a pod, a seed or a verdict', async (context) => {
  const { scene } = context;
  assert.is(await context.add(), 'added');
  assert.equal(scene.done, [
    'members.add gpu-0',
    'labelNode gpu-short-ref,chutes/validator,chutes/worker',
    'addServer 2 false',
    'advertiseServer 2',
    'markGpusVerified 2',
    'writeServer gpu-0',
  ]);
  const { tee, seed, verificationPort, gpus } = scene.servers.get('gpu-0') ?? {};
  assert.equal([tee, seed, verificationPort], [true, undefined, 30_443]);
  assert.ok(gpus?.every(({ verified }) => verified));
  assert.equal(
    asked.map(([url]) => url),
    ['https://127.0.0.1:30443/server/health', 'https://127.0.0.1:30443/server/devices'],
  );
  assert.is(asked[1]?.[1]['X-Chutes-Hotkey'], miner.address, 'signed in three parts');
});

test('a service that is not up yet is asked again', async (context) => {
  const devices: [number, string] = [200, JSON.stringify({ devices: [device(1), device(2)] })];
  answers(context.scene, new Error('refused'), [503, ''], [200, 'ok'], [200, 'no json'], devices);
  assert.is(await context.add(), 'added');
});

const failures: [what: string, set: (context: Context) => void, expected: RegExp][] = [
  ['K12 a service that is not there', ({ scene }) => answers(scene, new Error('refused')), /^E-VERIFICATION .*refused/],
  ['K12 a service that refuses', ({ scene }) => answers(scene, [401, '']), /^E-VERIFICATION .*status 401/],
  ['too few GPUs', ({ scene }) => answers(scene, [200, ''], [200, '[]']), /^E-VERIFICATION .*2 GPUs, but 0/],
  [
    'another model than said',
    ({ scene }) => answers(scene, [200, ''], [200, JSON.stringify([device(1), device(2, { name: 'NVIDIA H200' })])]),
    /^E-GPU-REF .*h200/,
  ],
  [
    'a validator that does not take it',
    ({ scene }) =>
      void scene.failing.set('advertiseServer', new MinerError('E-VALIDATOR', 'no', { detail: { status: 403 } })),
    /^E-VALIDATOR no/,
  ],
];

for (const [what, set, expected] of failures) {
  test(`everything is undone and said after ${what}`, async (context) => {
    set(context);
    const outcome = await context.add();
    assert.match(outcome, expected);
    assert.is(context.messages.at(-1), `FAILED: ${outcome}`);
    const { servers, members, repo, advertised, verifications } = context.scene;
    assert.equal(
      [servers, members, repo, advertised, verifications].map(({ size }) => size),
      [0, 0, 0, 0, 0],
    );
  });
}

test.run();

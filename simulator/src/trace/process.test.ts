import { MinerError } from '@miner/controller/domain/errors.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createEncoder, replayProgram } from './process.ts';
import { createReplay, replay } from './replay.ts';
import { deploy, drive, makeTrace } from './testing.ts';

const trace = makeTrace({ duration: 1215 });

/** A strategy program: the body of `answer(snapshot)`. */
function play(answer: string, answerMs?: number) {
  const code = `require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const snapshot = JSON.parse(line);
    ${answer}
  })`;
  return replayProgram(trace, { command: process.execPath, args: ['-e', code], ...(answerMs && { answerMs }) });
}

async function failure(run: Promise<unknown>): Promise<string> {
  try {
    await run;
  } catch (error) {
    if (error instanceof MinerError && error.code === 'E-USAGE') return error.message;
    throw error;
  }
  throw new Error('the run did not fail');
}

test('a program that answers like a strategy earns like it', async () => {
  const action = deploy('c', 's');
  const inProcess = replay(trace, { act: ({ now }) => (now === 0 ? [action] : []) });
  const found = await play(`console.log(JSON.stringify(snapshot.now === 0 ? [${JSON.stringify(action)}] : []))`);
  assert.equal(found, inProcess);
  assert.ok(found.score > 0);
});

test('an answer that is no JSON list is a violation and no action', async () => {
  const { violations } = await play(`console.log(snapshot.seq === 0 ? 'hello' : snapshot.seq === 20 ? '{}' : '[]')`);
  assert.equal(violations, { bad_answer: 2 });
});

test('a program that ends early aborts the run', async () => {
  assert.match(await failure(play('process.exit(3)')), /ended early \(exit code 3\)/);
});

test('a program that does not answer in time aborts the run', async () => {
  assert.match(await failure(play('', 300)), /gave no answer within 0.3 s/);
});

test('a program that does not exist aborts the run', async () => {
  assert.match(await failure(replayProgram(trace, { command: '/nonexistent/strategy' })), /cannot run: .*ENOENT/);
});

test('a line is the JSON of the snapshot, also where text is reused', () => {
  const encode = createEncoder();
  const { snapshots } = drive({}, { 0: [deploy('c', 's')] }, [15, 30, 120]);
  for (const snapshot of snapshots) assert.equal(JSON.parse(encode(snapshot)), JSON.parse(JSON.stringify(snapshot)));
});

test('the first line is sent at 0', () => {
  assert.is(createReplay(trace).next()?.now, 0);
});

test.run();

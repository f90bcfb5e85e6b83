import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyState, loadState, stateWriter } from './state.ts';
import { itemsOf, manualClock, pause, send, testValidator } from './testing.ts';
import { bringUp, launch, podCall, readyValidator } from './testingnode.ts';

const folder = mkdtempSync(join(tmpdir(), 'validator-state-'));
test.after(() => rmSync(folder, { recursive: true }));

test('a restarted validator knows its nodes, instances, tokens, score and market', async () => {
  const stateFile = join(folder, 'whole.json');
  const clock = manualClock();
  const first = await readyValidator({ stateFile, clock });
  const { chuteId } = first.chute;
  const instanceId = await bringUp(first.validator, chuteId, first.devices.slice(0, 1));
  const launched = await launch(first.validator, chuteId);
  first.validator.openBounty(chuteId);
  clock.advance(3_600_000);
  const [before, chutes] = [first.validator.stats(), first.validator.chutes()];
  const nodes = await send(first.validator.url, 'GET', '/miner/nodes/', { tail: 'miner' });
  await first.validator.close();

  const { validator } = await testValidator({ stateFile, clock });
  assert.equal(validator.stats(), before);
  assert.equal(validator.chutes(), chutes);
  assert.is((await send(validator.url, 'GET', '/miner/nodes/', { tail: 'miner' })).text, nodes.text);
  const [item = {}] = itemsOf(await send(validator.url, 'GET', '/miner/instances/', { tail: 'miner' }));
  assert.is(item.instance_id, instanceId);
  assert.is((await podCall(validator, launched, 'GET', undefined, '/activate')).status, 404, 'the token still counts');
  clock.advance(3_600_000);
  assert.ok(validator.stats().score > before.score);
  await validator.close();
});

test('a rolling update goes on after a restart', async () => {
  const stateFile = join(folder, 'rolling.json');
  const clock = manualClock();
  const first = await readyValidator({ stateFile, clock });
  await bringUp(first.validator, first.chute.chuteId, first.devices.slice(0, 1));
  first.validator.updateChute(first.chute.chuteId);
  await first.validator.close();
  clock.advance(600_000);
  const { validator } = await testValidator({ stateFile, clock });
  await pause(130);
  assert.is(validator.stats().activeInstances, 0);
  await validator.close();
});

test('changes are written together, at the latest at the end, and leave no other file', async () => {
  const file = join(folder, 'writer', '..', 'written.json');
  const state = emptyState('key');
  const writer = stateWriter(file, state, 30);
  writer.changed();
  state.claims = 1;
  writer.changed();
  assert.is(loadState(file), undefined);
  await pause(80);
  assert.is(loadState(file)?.claims, 1);
  state.claims = 2;
  writer.changed();
  writer.flush();
  assert.is(loadState(file)?.claims, 2);
  assert.not(readdirSync(folder).some((name) => name.endsWith('.next')));
});

test('a taken port is an error with a name', async () => {
  const { validator } = await testValidator();
  const port = Number(new URL(validator.url).port);
  try {
    await testValidator({ port });
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code: string }).code, 'E-IN-USE');
  }
  await validator.close();
});

test('without a file nothing is written', () => {
  const writer = stateWriter(undefined, emptyState(''));
  writer.changed();
  writer.flush();
});

for (const text of ['', 'null', '{}', '{"format":2}', '{"format":1,"nodes":3}', '{"format":1,"nod']) {
  test(`a state file with ${text || 'nothing'} in it is refused by name`, () => {
    const file = join(folder, 'broken.json');
    writeFileSync(file, text);
    try {
      loadState(file);
      assert.unreachable();
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      assert.is(code, 'E-STORE');
      assert.match(message, file);
    }
  });
}

test('a state file that cannot be read is no empty state', () => {
  assert.throws(() => loadState(folder), /cannot read/);
});

test.run();

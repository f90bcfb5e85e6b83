import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { minerKey, raw } from './testing.ts';
import { claimAndProve, launch, podCall, readyValidator } from './testingnode.ts';

const path = '/miner/instance_logs';

/** The texts after `data: `, without those that only keep the connection open. */
function eventsOf(text: string): string[] {
  const events = text.split('\n\n').filter((event) => event !== '');
  return events.map((event) => event.replace(/^data: /, '')).filter((event) => event !== '.');
}

function textOf(event: string): string {
  return JSON.parse(event).log;
}

test('the launch token of an instance reads what happened to it; a cursor leaves out what is known', async () => {
  const { validator, clock, chute, devices } = await readyValidator();
  const launched = await launch(validator, chute.chuteId);
  const headers = { Authorization: launched.token };
  assert.is((await raw(validator.url, 'GET', path, headers)).status, 404, 'not yet claimed');
  clock.advance(1000);
  await claimAndProve(validator, launched, devices.slice(0, 1));
  clock.advance(1000);
  assert.is((await podCall(validator, launched, 'GET', undefined, '/activate')).status, 200);
  const { status, text } = await raw(validator.url, 'GET', path, headers);
  assert.is(status, 200);
  const events = eventsOf(text);
  assert.equal(
    events.map(textOf).map((log) => log.replace(/^instance \S+ /, '').replace(/:\d+/, '')),
    ['claimed at 127.0.0.1 with 1 × NVIDIA L40S', 'the proof of the GPUs is accepted', 'the instance is active'],
  );
  const { cursor } = JSON.parse(events[0] ?? '');
  const later = await raw(validator.url, 'GET', `${path}?cursor=${encodeURIComponent(cursor)}`, headers);
  assert.equal(eventsOf(later.text).map(textOf), ['the instance is active'], 'claim and proof came at one time here');
  await validator.close();
});

test('the stream goes on until the instance is active', async () => {
  const { validator, clock, chute, devices } = await readyValidator();
  const launched = await launch(validator, chute.chuteId);
  await claimAndProve(validator, launched, devices.slice(0, 1));
  const response = await fetch(validator.url + path, { headers: { Authorization: launched.token } });
  let text = '';
  let activated = false;
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (eventsOf(text).length === 2 && !activated) {
      activated = true;
      clock.advance(10);
      await podCall(validator, launched, 'GET', undefined, '/activate');
    }
    clock.advance(1000);
  }
  assert.equal(eventsOf(text).map(textOf).slice(2), ['the instance is active']);
  await validator.close();
});

test('an instance that ends, and five minutes without news, end the stream', async () => {
  const { validator, clock, chute, devices } = await readyValidator();
  for (const end of ['deleted', 'late']) {
    const launched = await launch(validator, chute.chuteId);
    const { json } = await claimAndProve(validator, launched, devices.slice(0, 1));
    const response = await fetch(validator.url + path, { headers: { Authorization: launched.token } });
    let text = '';
    let ticking: NodeJS.Timeout | undefined;
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (eventsOf(text).length < 2 || ticking) continue;
      if (end === 'deleted') validator.terminateInstance(json.instance_id, 'test');
      ticking = setInterval(() => clock.advance(end === 'deleted' ? 1000 : 60_000), 20);
    }
    assert.is(eventsOf(text).length, 2, end);
    clearInterval(ticking);
  }
  await validator.close();
});

test('without a good token, cursor or name nothing is told', async () => {
  const { validator, clock, chute, devices } = await readyValidator();
  const launched = await launch(validator, chute.chuteId);
  await claimAndProve(validator, launched, devices.slice(0, 1));
  const headers = { Authorization: launched.token };
  assert.is((await raw(validator.url, 'GET', path, {})).status, 401);
  assert.is((await raw(validator.url, 'GET', path, { Authorization: `${launched.token}x` })).status, 401);
  assert.is((await raw(validator.url, 'GET', `${path}?cursor=never`, headers)).status, 422);
  validator.setBlacklisted(minerKey.ss58, true);
  assert.is((await raw(validator.url, 'GET', path, headers)).status, 403);
  clock.advance(7_200_001);
  assert.is((await raw(validator.url, 'GET', path, headers)).status, 401, 'tokens live two hours');
  await validator.close();
});

test('an older validator has no such route', async () => {
  const { validator, chute } = await readyValidator({ generation: 'v25' });
  const { token } = await launch(validator, chute.chuteId);
  assert.is((await raw(validator.url, 'GET', path, { Authorization: token })).status, 404);
  await validator.close();
});

test.run();

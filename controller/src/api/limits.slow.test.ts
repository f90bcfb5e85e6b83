import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { SignedHeaders } from '../signing/sign.ts';
import type { ApiLimits } from './options.ts';
import { createRefusalLog } from './refusals.ts';
import { type Context, useApi } from './testing/api.ts';

const test = suite<Context>('API limits');
useApi(test);

// Windows so long that none ends while a test runs.
const hour = 3_600_000;

function few(max: number): ApiLimits {
  return { requests: { max, perMs: hour } };
}

function fewRefusals(max: number): ApiLimits {
  return { requests: { max: 1000, perMs: hour }, refusals: { max, perMs: hour } };
}

async function statuses(count: number, send: (i: number) => Promise<Response>): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count; i++) found.push((await send(i)).status);
  return found;
}

function forged(headers: SignedHeaders): SignedHeaders {
  return { ...headers, 'X-Chutes-Signature': 'ab'.repeat(64) };
}

test('requests beyond the limit are 429 and told when to come again, whatever they ask for', async ({ start }) => {
  const limited: string[] = [];
  const url = await start({ limits: few(3), onLimited: (limit) => limited.push(limit) });
  const paths = ['/ping', '/nowhere', '/servers/', '/ping', '/nowhere', '/readyz'];
  assert.equal(await statuses(6, (i) => fetch(url + paths[i])), [200, 404, 401, 429, 429, 429]);
  const response = await fetch(`${url}/ping`);
  assert.ok(Number(response.headers.get('retry-after')) >= 1);
  assert.equal(await response.json(), { error: 'E-LIMIT', detail: 'too many requests' });
  assert.equal(limited, Array(4).fill('requests'));
});

test('a header does not make another source of a caller', async ({ start }) => {
  const url = await start({ limits: few(2) });
  const send = (i: number) =>
    fetch(`${url}/ping`, { headers: { 'x-forwarded-for': `10.0.0.${i}`, forwarded: `for=10.0.0.${i}` } });
  assert.equal(await statuses(3, send), [200, 200, 429]);
});

test('requests are counted before a signature is looked at', async ({ start, sign }) => {
  const refused: string[] = [];
  const url = await start({ limits: few(2), onRefused: (reason) => refused.push(reason) });
  const headers = forged(sign({ purpose: 'management' }));
  assert.equal(await statuses(5, () => fetch(`${url}/servers/`, { headers })), [401, 401, 429, 429, 429]);
  assert.equal(refused, ['signature does not fit', 'signature does not fit']);
});

test('after too many refusals no signature of that source is looked at, and open routes stay open', async (context) => {
  const { sign, start, done } = context;
  const [refused, limited]: [string[], string[]] = [[], []];
  const url = await start({
    limits: fewRefusals(3),
    onRefused: (reason) => refused.push(reason),
    onLimited: (limit) => limited.push(limit),
  });
  const send = (headers: SignedHeaders) => fetch(`${url}/servers/gpu-0`, { method: 'DELETE', headers });
  assert.equal(await statuses(5, () => send(forged(sign({ purpose: 'management' })))), [401, 401, 401, 429, 429]);
  assert.equal([refused.length, limited], [3, ['refusals', 'refusals']]);
  assert.is((await send(sign({ purpose: 'management' }))).status, 429, 'even a good one: nobody looked');
  assert.is((await fetch(`${url}/ping`)).status, 200);
  assert.equal(done, []);
});

test('good requests do not use up the budget of refusals', async ({ start, sign }) => {
  const url = await start({ limits: fewRefusals(1) });
  const send = () => fetch(`${url}/servers/`, { headers: sign({ purpose: 'management' }) });
  assert.equal(await statuses(5, send), [200, 200, 200, 200, 200]);
});

test('trust comes back with time', async ({ start, sign }) => {
  const url = await start({ limits: { refusals: { max: 1, perMs: 300 } } });
  const send = (headers: SignedHeaders) => fetch(`${url}/servers/`, { headers });
  await send({});
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { status } = await send(sign({ purpose: 'management' }));
    if (status === 200) return;
    assert.is(status, 429);
    assert.ok(Date.now() < deadline, 'trust never came back');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

test('the defaults let the tools of an operator work', async ({ url, sign }) => {
  const all = await Promise.all(
    Array.from({ length: 60 }, () => fetch(`${url}/servers/`, { headers: sign({ purpose: 'management' }) })),
  );
  assert.equal([...new Set(all.map(({ status }) => status))], [200]);
  await Promise.all(all.map((response) => response.text()));
});

test('a flood of forgeries is one line in the log, and the next minute tells how many were not written', async (context) => {
  const send = () => context.call('GET', '/servers/', { headers: {} });
  for (let i = 0; i < 8; i++) assert.is((await send()).status, 401);
  const line = { method: 'GET', route: '/servers/', reason: 'not for this miner', message: 'request refused' };
  const source = '127.0.0.1';
  assert.equal(context.warnings, [{ source, since: 0, ...line }]);
  context.clock.ms += 60_000;
  await send();
  assert.equal(context.warnings[1], { source, since: 7, ...line });
});

test('what is told for metrics is one of few reasons: no numbers of the caller are in it', async (context) => {
  const refused: string[] = [];
  const url = await context.start({ onRefused: (reason) => refused.push(reason) });
  for (const nonce of [1, 2, 1_900_000_000]) {
    await fetch(`${url}/servers/`, {
      headers: { ...context.sign({ purpose: 'management' }), 'X-Chutes-Nonce': String(nonce) },
    });
  }
  assert.equal([...new Set(refused)], ['nonce is N s old']);
});

function refusalLog(maxSources: number) {
  const clock = { ms: 0, now: () => clock.ms };
  const lines: string[] = [];
  const log = createRefusalLog({ clock, maxSources, write: ({ source, since }) => lines.push(`${source} ${since}`) });
  return { clock, lines, ...log };
}

test('sources are told apart, each with its own minute', () => {
  const { note, lines, clock } = refusalLog(10);
  note('a', {});
  clock.ms = 30_000;
  note('b', {});
  note('a', {});
  clock.ms = 60_000;
  note('a', {});
  note('b', {});
  assert.equal(lines, ['a 0', 'b 0', 'a 1']);
});

test('very many sources share one line and a bounded memory', () => {
  const { note, lines, size, clock } = refusalLog(10);
  for (let i = 0; i < 10_000; i++) note(`s${i}`, {});
  assert.equal([lines.length, lines.at(-1)], [11, 'others 0']);
  assert.ok(size() <= 11);
  clock.ms = 60_000;
  note('s5', {});
  note('new', {});
  assert.equal(lines.slice(11), ['s5 0', 'new 0'], 'after a minute there is room again');
  assert.ok(size() <= 11);
});

test.run();

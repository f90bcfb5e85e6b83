// 10,000 requests of a hostile client: nothing but refusals, nothing changed, nothing kept, and a good client is served afterwards.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Context, miner, nowMs, stranger, useApi } from './testing/api.ts';
import { agent, bodies, brokenHttp, type HostileRequest, hostileRequest, send, sendBytes } from './testing/hostile.ts';

const test = suite<Context>('API under a hostile client');
useApi(test);
test.after(() => agent.destroy());

const addresses = { miner: miner.address, stranger: stranger.address };
const forged = hostileRequest(addresses, nowMs / 1000);
const unlimited = { requests: { max: 1e9, perMs: 1000 }, refusals: { max: 1e9, perMs: 1000 } };
const batch = 100;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** Bytes in use after everything that nobody holds is gone. */
function heapUsed(): number {
  for (let i = 0; i < 3; i++) collectGarbage();
  return process.memoryUsage().heapUsed;
}

function snapshot({ servers, rows, configured, done }: Context): unknown {
  return structuredClone({ servers, rows, configured, done });
}

interface Target {
  port: number;
  errors: unknown[];
  /** Why requests were refused. */
  reasons: Set<string>;
}

async function startTarget(context: Context): Promise<Target> {
  const errors: unknown[] = [];
  const log = { ...context.options.log, error: (...given: unknown[]) => void errors.push(given) };
  const reasons = new Set<string>();
  const url = await context.start({
    limits: unlimited,
    log: log as Context['options']['log'],
    onRefused: (reason) => reasons.add(reason),
  });
  return { port: Number(new URL(url).port), errors, reasons };
}

function show({ method, path, headers, body }: HostileRequest): string {
  return `${method} ${path.slice(0, 200)} ${JSON.stringify(headers)} ${Buffer.from(body ?? []).toString('latin1', 0, 200)}`;
}

/** Sends `total` cases, a batch at a time; the first that is not answered as it must be ends it. */
async function attack<T>(total: number, kind: fc.Arbitrary<T>, attempt: (one: T) => Promise<void>): Promise<void> {
  const first = fc.readConfigureGlobal().seed ?? Date.now();
  for (let sent = 0; sent < total; sent += batch) {
    await Promise.all(fc.sample(kind, { numRuns: batch, seed: first + sent }).map(attempt));
  }
}

function isRefusal(status: number): boolean {
  return status >= 400 && status < 500;
}

test('10,000 forged, malformed and broken requests are refused, change nothing and leave nothing behind', async (context) => {
  const before = snapshot(context);
  const target = await startTarget(context);
  const { port } = target;
  const counts = { forged: 0, signed: 0, broken: 0, unanswered: 0 };

  async function forge(request: HostileRequest): Promise<void> {
    const status = await send(port, request);
    counts.forged += 1;
    if (status === 0) counts.unanswered += 1;
    else if (status !== 307 || !/^\/(servers|deployments)(\?|$)/.test(request.path))
      assert.ok(isRefusal(status), `${status} for ${show(request)}`);
  }

  const id = fc.string({ unit: fc.constantFrom(...'abc019-_.%/~'), minLength: 1, maxLength: 120 });
  const signedRequest = fc.oneof(
    bodies.map((body) => ({ method: 'POST', path: '/servers/', body })),
    id.map((name) => ({ method: 'GET', path: `/servers/${name}/lock`, body: undefined })),
    id.map((name) => ({ method: 'DELETE', path: `/servers/${name}`, body: undefined })),
    id.map((name) => ({ method: 'DELETE', path: `/deployments/${name}`, body: undefined })),
    fc.oneof(fc.double().map(String), fc.webQueryParameters()).map((limit) => ({
      method: 'GET',
      path: `/decisions?limit=-${encodeURIComponent(limit)}`,
      body: undefined,
    })),
  );
  async function sign(request: Omit<HostileRequest, 'headers'>): Promise<void> {
    const { body } = request;
    const headers = Object.entries(context.sign(body ? { body } : { purpose: 'management' }));
    const status = await send(port, { ...request, headers });
    counts.signed += 1;
    if (status === 0) counts.unanswered += 1;
    else assert.ok(isRefusal(status), `${status} for ${show({ ...request, headers })}`);
  }

  async function shatter(bytes: Uint8Array): Promise<void> {
    const statuses = await sendBytes(port, bytes);
    counts.broken += 1;
    if (statuses.length === 0) counts.unanswered += 1;
    for (const status of statuses)
      assert.ok(isRefusal(status), `${status} for ${Buffer.from(bytes).toString('latin1')}`);
  }

  // The first ones load code and fill pools.
  await attack(1500, forged, forge);
  await attack(500, signedRequest, sign);
  await attack(500, brokenHttp, shatter);
  const warm = heapUsed();
  await attack(5000, forged, forge);
  await attack(1500, signedRequest, sign);
  await attack(1000, brokenHttp, shatter);
  const growth = heapUsed() - warm;

  assert.is(counts.forged + counts.signed + counts.broken, 10_000);
  assert.ok(counts.unanswered < 1500, `${counts.unanswered} connections ended without an answer`);
  assert.ok(growth < 8 * 1024 * 1024, `the heap grew by ${Math.round(growth / 1024)} KiB`);
  assert.equal(snapshot(context), before, 'nothing was changed, nothing was asked for');
  assert.equal(
    [...target.reasons].sort(),
    [
      'nonce is N s old',
      'nonce is not an integer',
      'not for this miner',
      'signature does not fit',
      'signature is not N hex digits',
      'signer not allowed',
    ],
    'each check had to refuse, the last one too',
  );
  assert.equal(target.errors, [], 'no refusal counts as a failure of ours');
  const good = await fetch(`http://127.0.0.1:${port}/servers/`, { headers: context.sign({ purpose: 'management' }) });
  assert.is(good.status, 200);
  assert.is(((await good.json()) as unknown[]).length, 2);
});

test('with its usual limits a flood is turned away before signatures are looked at, and is one line in the log', async (context) => {
  const refused: string[] = [];
  let limited = 0;
  const url = await context.start({
    limits: {},
    onRefused: (reason) => refused.push(reason),
    onLimited: () => {
      limited += 1;
    },
  });
  const port = Number(new URL(url).port);
  const started = Date.now();
  const total = 3000;
  await attack(total, forged, async (request) => {
    const status = await send(port, request);
    assert.ok(status === 0 || status === 307 || isRefusal(status), `${status} for ${show(request)}`);
  });
  const windows = Math.ceil((Date.now() - started) / 1000) + 1;
  assert.ok(limited > 0);
  // Those that were under way when the budget ran out are looked at as well: at most one for each connection.
  assert.ok(refused.length <= windows * (20 + 24), `${refused.length} refusals in ${windows} windows`);
  assert.ok(context.warnings.length <= 1, JSON.stringify(context.warnings.slice(0, 3)));
});

test('huge bodies are not read from those who cannot sign, nor kept from those who can', async (context) => {
  const { port } = await startTarget(context);
  const body = Buffer.alloc(8 * 1024 * 1024, 0x20);
  const before = heapUsed();
  for (let i = 0; i < 10; i++) {
    const request = { method: 'POST', path: '/servers/', body };
    assert.ok([0, 401].includes(await send(port, { ...request, headers: [] })));
    const headers = Object.entries(context.sign({ body }));
    assert.ok([0, 413].includes(await send(port, { ...request, headers })));
  }
  assert.ok(heapUsed() - before < 8 * 1024 * 1024);
  assert.equal(context.done, []);
});

test.run();

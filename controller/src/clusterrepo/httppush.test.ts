import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openHttpPush } from './httppush.ts';
import { encodeLine, flushLine, readLines } from './pktline.ts';

const ref = 'refs/heads/live';
const push = { ref, commit: 'b'.repeat(40), expected: 'a'.repeat(40), pack: Buffer.from('PACK') };
const type = 'application/x-git-receive-pack-result';
const isRaced = (why: string) => why.includes('stale');

function report(...lines: string[]): Buffer {
  return Buffer.concat([...lines.map((line) => encodeLine(`${line}\n`)), flushLine]);
}

async function withHost(listener: RequestListener, work: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/miner/cluster.git`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const answers: [string, { status?: number; type?: string; body: Buffer }, unknown][] = [
  ['a moved ref', { body: report('unpack ok', `ok ${ref}`) }, { kind: 'moved' }],
  [
    'a refusal',
    { body: report('unpack ok', `ng ${ref} hook declined`) },
    { kind: 'refused', reason: 'hook declined', raced: false },
  ],
  [
    'a lost race',
    { body: report('unpack ok', `ng ${ref} stale info`) },
    { kind: 'refused', reason: 'stale info', raced: true },
  ],
  ['objects that were not taken', { body: report('unpack missing blob', `ng ${ref} unpacker error`) }, undefined],
  ['a report on another ref', { body: report('unpack ok', 'ok refs/heads/main') }, undefined],
  ['a report that is cut off', { body: report('unpack ok', `ok ${ref}`).subarray(0, 30) }, undefined],
  ['a page of a proxy', { type: 'text/html', body: Buffer.from('<p>Welcome</p>') }, undefined],
  ['no access', { status: 401, body: Buffer.from('') }, undefined],
  ['a host that is busy', { status: 503, body: report('unpack ok', `ok ${ref}`) }, undefined],
  ['an endless answer', { body: Buffer.alloc(2_000_000) }, undefined],
];

for (const [name, { status = 200, type: contentType = type, body }, expected] of answers) {
  test(`${name} is ${expected ? 'told' : 'left to git'}`, async () => {
    await withHost(
      (request, response) =>
        request.resume().on('end', () => response.writeHead(status, { 'Content-Type': contentType }).end(body)),
      async (url) => assert.equal(await openHttpPush({ url, timeoutMs: 10_000 }, isRaced)(push), expected),
    );
  });
}

test('the request names the move, carries the pack and the credential as it is in its file at that time', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'httppush-'));
  const credentialFile = join(dir, 'credential');
  const seen: { path: string; authorization: string; body: string }[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { url = '', headers } = request;
      seen.push({ path: url, authorization: String(headers.authorization), body: Buffer.concat(chunks).toString() });
      response.writeHead(200, { 'Content-Type': type }).end(report('unpack ok', `ok ${ref}`));
    });
  };
  await withHost(listener, async (url) => {
    const send = openHttpPush({ url: `${url}/`, credentialFile, timeoutMs: 10_000 }, isRaced);
    await send({ ...push, expected: undefined });
    writeFileSync(credentialFile, 'miner:token\nmore\n');
    await send(push);
  });
  rmSync(dir, { recursive: true });
  const [first, second] = seen;
  assert.is(first?.authorization, 'undefined');
  assert.is(first?.body, `0074${'0'.repeat(40)} ${push.commit} ${ref}\0 report-status0000PACK`);
  assert.is(second?.authorization, `Basic ${Buffer.from('miner:token').toString('base64')}`);
  assert.match(second?.body ?? '', push.expected);
  assert.is(second?.path, '/miner/cluster.git/git-receive-pack');
});

test('a host that does not answer in time may still move the ref', async () => {
  await withHost(
    () => undefined,
    async (url) => {
      const outcome = await openHttpPush({ url, timeoutMs: 50 }, isRaced)(push);
      assert.is(outcome?.kind === 'unknown' && outcome.timedOut, true);
    },
  );
});

test('a connection that is cut, or cannot be made, is left to git', async () => {
  await withHost(
    (request) => request.socket.destroy(),
    async (url) => {
      const before = process.env.GIT_SSL_CAINFO;
      for (const file of [undefined, import.meta.filename, '/nonexistent']) {
        if (file === undefined) delete process.env.GIT_SSL_CAINFO;
        else process.env.GIT_SSL_CAINFO = file;
        for (const where of [url, url.replace('http:', 'https:')])
          assert.is(await openHttpPush({ url: where, timeoutMs: 10_000 }, isRaced)(push), undefined);
      }
      if (before === undefined) delete process.env.GIT_SSL_CAINFO;
      else process.env.GIT_SSL_CAINFO = before;
    },
  );
});

test('lines are read up to the flush, and nothing else is taken for lines', () => {
  assert.equal(readLines(report('one', 'two')), ['one', 'two']);
  assert.equal(readLines(Buffer.concat([report(), Buffer.from('PACK')])), []);
  for (const bytes of ['', '000', '0003', 'zzzzabc', '00ffabc', '0005a'])
    assert.is(readLines(Buffer.from(bytes)), undefined, bytes);
});

test.run();

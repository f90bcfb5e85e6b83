import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { teeGet } from './tee.ts';

const dir = mkdtempSync(join(tmpdir(), 'tee-'));
const [keyFile, certFile] = [join(dir, 'key'), join(dir, 'cert')];
const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
execFileSync('openssl', ['req', ...kind, '-keyout', keyFile, '-out', certFile, '-subj', '/CN=vm'], { stdio: 'ignore' });
const server = createServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, (request, response) => {
  if (request.url === '/silent') return;
  if (request.url === '/huge') response.end('x'.repeat(1024 * 1024));
  else response.writeHead(request.headers.key === '1' ? 200 : 401).end('text');
});
let url = '';

test.before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
test.after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true });
});

const open = new AbortController().signal;

test('a certificate that nobody vouches for is accepted, and headers get through', async () => {
  assert.equal(await teeGet(`${url}/server/health`, { key: '1' }, open), { status: 200, text: 'text' });
  assert.is((await teeGet(`${url}/server/health`, {}, open)).status, 401);
});

test('an answer without end is cut, and silence ends with the signal', async () => {
  const failure = (path: string, signal: AbortSignal) => teeGet(url + path, {}, signal).then(String, String);
  assert.match(await failure('/huge', open), /larger than/);
  assert.match(await failure('/silent', AbortSignal.timeout(50)), /abort/i);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  assert.match(await failure('/server/health', open), /ECONNREFUSED/);
});

test.run();

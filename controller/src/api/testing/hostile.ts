// Requests that no good client sends: forged, malformed, broken. Generators for fast-check, and the ways to send them.

import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import fc from 'fast-check';

export interface HostileRequest {
  method: string;
  path: string;
  /** In order and as written: names may repeat. */
  headers: [name: string, value: string][];
  body: Uint8Array | undefined;
}

const methods = ['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH', 'M-SEARCH'];

const routes: [method: string, path: string][] = [
  ['GET', '/servers/'],
  ['POST', '/servers/'],
  ['GET', '/servers/kubeconfig'],
  ['GET', '/servers/gpu-0/lock'],
  ['GET', '/servers/gpu-0/unlock'],
  ['GET', '/servers/uid-gpu-0/delete_preflight'],
  ['DELETE', '/servers/gpu-0'],
  ['DELETE', '/servers/gpu-0/deployments'],
  ['GET', '/deployments/'],
  ['DELETE', '/deployments/purge'],
  ['DELETE', '/deployments/d1'],
  ['GET', '/decisions'],
  ['GET', '/status'],
];
const knownPaths = routes.map(([, known]) => known);

/** Characters that may stand in a request line: no space, no control character. */
const pathText = fc.string({ unit: fc.constantFrom(...'aZ09-._~%/?#&=+;:@!$\'"()*,[]{}|\\^`<>'), maxLength: 60 });

const oddPath = fc.oneof(
  fc.tuple(fc.constantFrom(...knownPaths), pathText).map(([known, tail]) => known + tail),
  pathText.map((text) => `/${text}`),
  fc.constantFrom(
    ...knownPaths,
    '/servers/%00/lock',
    '/servers/%zz/lock',
    '/servers/%ff%fe/lock',
    '/servers/..%2f..%2fetc/lock',
    '/servers/__proto__/lock',
    '/servers/constructor',
    '/deployments/__proto__',
    '/decisions?__proto__[x]=1&constructor=2',
    `/servers/${'x'.repeat(8000)}/lock`,
    '//evil.example/servers/',
    '/servers/;/lock',
    '/SERVERS/',
  ),
);

/** Most of them reach a route. */
const target: fc.Arbitrary<[method: string, path: string]> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...routes) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...routes), pathText)
      .map(([[method, known], query]) => [method, `${known}?${query}`] as [string, string]),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom(...methods), oddPath) },
);

/** What a header's value may hold on the wire. */
const headerValue = fc.string({
  unit: fc
    .oneof(fc.integer({ min: 32, max: 126 }), fc.integer({ min: 128, max: 255 }))
    .map((code) => String.fromCharCode(code)),
  maxLength: 80,
});

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });

const signature = fc.oneof(
  { weight: 4, arbitrary: hex(128) },
  { weight: 1, arbitrary: fc.nat(300).chain(hex) },
  { weight: 1, arbitrary: hex(128).map((text) => `0x${text}`) },
  { weight: 1, arbitrary: hex(127).map((text) => `${text}g`) },
  { weight: 1, arbitrary: fc.constantFrom('0'.repeat(128), 'f'.repeat(128), '', ' ', 'null') },
  headerValue,
);

function nonce(nowSeconds: number): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: -29, max: 29 }).map((off) => String(nowSeconds + off)) },
    fc.double().map(String),
    fc.bigInt({ min: -(2n ** 128n), max: 2n ** 128n }).map(String),
    fc.constantFrom(
      'NaN',
      'Infinity',
      '-1',
      '1e9',
      '0x67',
      '',
      ' ',
      '\u00b3',
      `${nowSeconds}.0`,
      `+${nowSeconds}`,
      `${nowSeconds},1`,
    ),
    headerValue,
  );
}

const oddHeaders = fc.array(
  fc.tuple(
    fc.oneof(
      fc.constantFrom(
        'content-type',
        'accept',
        'x-forwarded-for',
        'cookie',
        'range',
        'te',
        'origin',
        '__proto__',
        'constructor',
        'x-chutes-nonce',
      ),
      fc.string({ unit: fc.constantFrom(...'abcXYZ019-_!#$%&*+.^|~'), minLength: 1, maxLength: 20 }),
    ),
    headerValue,
  ),
  { maxLength: 5 },
);

export interface Addresses {
  miner: string;
  stranger: string;
}

/** Credentials, most of them close to good ones: the interesting ones pass all checks but the last. */
function credentials({ miner, stranger }: Addresses, nowSeconds: number): fc.Arbitrary<[string, string][]> {
  const address = fc.oneof({ weight: 6, arbitrary: fc.constant(miner) }, fc.constant(stranger), headerValue);
  return fc
    .record(
      {
        'X-Chutes-Miner': address,
        'X-Chutes-Validator': address,
        'X-Chutes-Nonce': nonce(nowSeconds),
        'X-Chutes-Signature': signature,
      },
      { requiredKeys: [] },
    )
    .map((record) => Object.entries(record) as [string, string][]);
}

function deep(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}

/** JSON and not quite: for the forged and for the signed alike. */
export const bodies: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 400 }) },
  { weight: 3, arbitrary: fc.json({ maxDepth: 4 }).map((text) => Buffer.from(text)) },
  {
    weight: 3,
    arbitrary: fc
      .dictionary(
        fc.constantFrom('name', 'validator', 'hourly_cost', 'gpu_short_ref', 'agent_api', '__proto__', 'constructor'),
        fc.jsonValue({ maxDepth: 2 }),
      )
      .map((value) => Buffer.from(JSON.stringify(value))),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      Buffer.from(deep(100_000)),
      Buffer.from(`{"name":${deep(20_000)}}`),
      Buffer.from('{"__proto__":{"name":"x","locked":true},"name":"gpu-9"}'),
      Buffer.from('{"name":"\ud800"}'),
      Buffer.from([0x22, 0xff, 0xfe, 0x22]),
      Buffer.from('{"hourly_cost":1e999}'),
      Buffer.from('{"hourly_cost":NaN}'),
      Buffer.from(' '.repeat(300_000)),
      Buffer.alloc(0),
    ),
  },
);

export function hostileRequest(addresses: Addresses, nowSeconds: number): fc.Arbitrary<HostileRequest> {
  return fc
    .record({
      target,
      signed: credentials(addresses, nowSeconds),
      odd: oddHeaders,
      body: fc.option(bodies, { nil: undefined }),
    })
    .map(({ target: [method, to], signed, odd, body }) => ({
      method,
      path: to,
      headers: [...signed, ...odd],
      body: ['GET', 'HEAD', 'TRACE'].includes(method) ? undefined : body,
    }));
}

/** Whole conversations that are no HTTP, or not quite. */
export const brokenHttp: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 300 }),
  fc
    .tuple(
      fc.constantFrom('GET', 'POST', 'DELETE', 'FOO', 'get', ''),
      pathText,
      fc.constantFrom('HTTP/1.1', 'HTTP/9.9', 'HTTP/2.0', 'ICY', ''),
    )
    .map((parts) => Buffer.from(`${parts.join(' ')}\r\n\r\n`)),
  fc
    .constantFrom(
      'Content-Length: -1',
      'Content-Length: 1, 2',
      'Content-Length: 99999999999999999999',
      'Content-Length: 5\r\nTransfer-Encoding: chunked',
      'Transfer-Encoding: chunked, identity',
      'Transfer-Encoding: chunked\r\n\r\nzz\r\n',
      'Host: a\r\nHost: b',
      'X: a\r\n\tfolded',
      'X: a\rInjected: b',
      'X: a\nInjected: b',
      'X : a',
      ': a',
      `X: ${'a'.repeat(70_000)}`,
      `${'X: a\r\n'.repeat(3000)}Y: b`,
      'Expect: 200-maybe',
      'Upgrade: websocket\r\nConnection: Upgrade',
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__',
    )
    .map((lines) => Buffer.from(`DELETE /servers/gpu-0 HTTP/1.1\r\nConnection: close\r\n${lines}\r\n\r\n`)),
  fc.constant(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')),
  fc.constant(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03])),
  fc.constant(Buffer.from('CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n')),
);

/** Connections are reused, so that what one request leaves behind meets the next. */
export const agent = new Agent({ keepAlive: true, maxSockets: 24 });

/** The status; 0 when the connection ended without one. Rejects only when there is no answer in time. */
export function send(port: number, { method, path: to, headers, body }: HostileRequest): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      host: '127.0.0.1',
      port,
      method,
      path: to,
      headers: ['Host', 'miner', ...headers.flat(), ...(body ? ['Content-Length', String(body.length)] : [])],
      agent,
      timeout: 30_000,
    });
    outgoing.on('response', (response) => {
      response.resume();
      response.once('close', () => resolve(response.statusCode ?? 0));
    });
    outgoing.once('timeout', () => reject(new Error(`no answer to ${method} ${to}`)));
    outgoing.once('error', () => resolve(0));
    outgoing.end(body);
  });
}

/** Statuses of all answers on one connection that sends these bytes and says no more. */
export function sendBytes(port: number, bytes: Uint8Array): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end after ${Buffer.from(bytes).toString('latin1').slice(0, 200)}`));
    }, 30_000);
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve([...answer.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map((match) => Number(match[1])));
    });
    socket.end(bytes);
  });
}

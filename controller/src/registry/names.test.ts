import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hostLabel, imageKey, requestedRepository } from './names.ts';

const validator = '5fhnew46xgxgs5muiveu4sbtygbzmstuspzc92uhjjm694ty';
const digest = `sha256:${'0a'.repeat(32)}`;

const pulls: [string, string][] = [
  ['/v2/alice/llama/manifests/3.1', 'alice/llama'],
  [`/v2/alice/llama/manifests/${digest}`, 'alice/llama'],
  [`/v2/alice/llama/blobs/${digest}`, 'alice/llama'],
  ['/v2/alice/llama/manifests/3.1?ns=registry.test%3A5000', 'alice/llama'],
  ['/v2/a-b__c.d/deep/er/manifests/latest', 'a-b__c.d/deep/er'],
  ['/v2/alice/manifests/manifests/blobs', 'alice/manifests'],
];
for (const [uri, repository] of pulls) {
  test(`${uri.slice(0, 60)} asks for ${repository}`, () => assert.is(requestedRepository(uri), repository));
}

const notPulls = [
  '',
  '/',
  '/v2',
  '/v2/',
  '/v2/_catalog',
  '/v1/alice/llama/manifests/1',
  '/v2/llama/manifests/1',
  '/v2/alice/llama/tags/list',
  '/v2/alice/llama/blobs/uploads/',
  '/v2/alice/llama/blobs/latest',
  '/v2/alice/llama/manifests/',
  '/v2/alice/llama/manifests/..',
  '/v2/alice/llama/manifests/1/../../../bob/gpt/manifests/1',
  '/v2/alice/../bob/llama/manifests/1',
  '/v2/alice//llama/manifests/1',
  '//v2/alice/llama/manifests/1',
  '/v2/alice/ll%61ma/manifests/1',
  '/v2/Alice/llama/manifests/1',
  '/v2/alice/llama/manifests/1 HTTP/1.1',
  '/v2/alice/llama/manifests/1\n',
  'http://elsewhere/v2/alice/llama/manifests/1',
  `/v2/alice/${'l'.repeat(1024)}/manifests/1`,
];
for (const uri of notPulls) {
  test(`${JSON.stringify(uri.slice(0, 60))} is no pull`, () => assert.is(requestedRepository(uri), undefined));
}

test('no text makes reading a URI, a host or an image fail or slow', () => {
  const part = fc.constantFrom(
    '/v2/',
    'alice',
    '/',
    'manifests/',
    'blobs/',
    '-',
    '__',
    '.',
    ':',
    '@',
    'a',
    '%2e',
    '\n',
    digest,
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(part, { maxLength: 300 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (value) => {
      const repository = requestedRepository(value);
      // What was read is exactly what stands between the fixed parts.
      if (repository !== undefined) assert.ok(/^\/v2\/(.+)\/(manifests|blobs)\/[^/]+$/.exec(value)?.[1] === repository);
      hostLabel(value);
      imageKey(value);
    }),
    { numRuns: 2000 },
  );
});

const hosts: [string, string | undefined][] = [
  [`${validator}.localregistry.chutes.ai:30500`, validator],
  [`${validator}.localregistry.chutes.ai`, validator],
  [`${validator.toUpperCase()}.LocalRegistry.chutes.ai:80`, validator],
  [validator, validator],
  ['127.0.0.1:5000', '127'],
  ['', undefined],
  ['.chutes.ai', undefined],
  [`${validator}.chutes.ai:port`, undefined],
  [`${validator}.chutes.ai/v2`, undefined],
  [`${validator}.a, ${validator}.b`, undefined],
];
for (const [host, label] of hosts) {
  test(`the first label of ${JSON.stringify(host)} is ${label ?? 'none'}`, () => assert.is(hostLabel(host), label));
}

const images: [string, string | undefined][] = [
  [`${validator}.localregistry.chutes.ai:30500/alice/llama:3.1-ab12`, `${validator}/alice/llama`],
  [`${validator}.localregistry.chutes.ai:30500/alice/llama`, `${validator}/alice/llama`],
  [`${validator}.localregistry.chutes.ai:30500/alice/llama:1@${digest}`, `${validator}/alice/llama`],
  ['alpine:3.20', undefined],
  ['registry.test/alpine:3.20', undefined],
  [`${validator}.localregistry.chutes.ai:30500/Alice/llama:1`, undefined],
  ['', undefined],
];
for (const [image, key] of images) {
  test(`the image ${JSON.stringify(image)} has the key ${key ?? 'none'}`, () => assert.is(imageKey(image), key));
}

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { type Kubeconfig, mergeKubeconfigs } from './kubeconfig.ts';
import { kubeconfig as shape } from './schemas.ts';
import { type Context, useApi } from './testing/api.ts';

const test = suite<Context>('API kubeconfig');
useApi(test);

interface Change {
  cluster?: object;
  user?: object;
  context?: string;
}

/** As k3s writes them: everything but the context is called `default`. */
function config(context: string, { cluster = {}, user = {}, context: current = context }: Change = {}) {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': current,
    clusters: [
      {
        name: 'default',
        cluster: { server: `https://${context}:6443`, 'certificate-authority-data': 'Q0E=', ...cluster },
      },
    ],
    users: [{ name: 'default', user: { 'client-certificate-data': 'Q0VSVA==', 'client-key-data': 'S0VZ', ...user } }],
    contexts: [{ name: context, context: { cluster: 'default', user: 'default', namespace: 'kube-system' } }],
  };
}

function merge(kubeconfigs: Record<string, string>, control?: string) {
  const leftOut: Record<string, string> = {};
  const merged = mergeKubeconfigs({
    servers: Object.keys(kubeconfigs).filter((name) => name !== 'stranger'),
    kubeconfigs: new Map(Object.entries(kubeconfigs)),
    control,
    onLeftOut: (name, reason) => {
      leftOut[name] = reason;
    },
  });
  return { merged, leftOut };
}

function names({ contexts }: Kubeconfig): string[] {
  return contexts.map(({ name }) => name);
}

test('each server becomes a context of its name in namespace chutes, whatever its file calls the rest', () => {
  const { merged, leftOut } = merge({ a: stringify(config('a')), b: JSON.stringify(config('b')) });
  assert.equal(leftOut, {});
  assert.equal(names(merged), ['a', 'b']);
  assert.equal(merged.contexts[1], { name: 'b', context: { cluster: 'b', user: 'b', namespace: 'chutes' } });
  assert.equal(merged.clusters[1], {
    name: 'b',
    cluster: { server: 'https://b:6443', 'certificate-authority-data': 'Q0E=' },
  });
  assert.equal(merged.users[0], {
    name: 'a',
    user: { 'client-certificate-data': 'Q0VSVA==', 'client-key-data': 'S0VZ' },
  });
  assert.is(merged['current-context'], '', 'no GPU server is the default of whoever forgets the context');
});

test('the control cluster comes first and is the current context', () => {
  const { merged } = merge({ a: stringify(config('a')) }, stringify(config('control-0')));
  assert.equal([names(merged), merged['current-context']], [['control-0', 'a'], 'control-0']);
});

test('a kubeconfig of a server that is not in the inventory is not given out', () => {
  assert.equal(names(merge({ a: stringify(config('a')), stranger: stringify(config('stranger')) }).merged), ['a']);
});

const secret = 'SECRET-TOKEN';
const unusable: [what: string, content: string | undefined, reason: RegExp][] = [
  ['is missing', undefined, /has no kubeconfig/],
  ['is no YAML', `{[${secret}`, /is not YAML/],
  ['is a word', secret, /kubeconfig: /],
  ['has no such context', stringify(config('other', { user: { token: secret } })), /has no context b/],
  ['names a cluster that is not there', stringify({ ...config('b'), clusters: [] }), /cluster: /],
  ['names a user that is not there', stringify({ ...config('b'), users: [] }), /user: /],
  ['has no address', stringify(config('b', { cluster: { server: secret } })), /cluster\.server: /],
  [
    'has an address of a file',
    stringify(config('b', { cluster: { server: `file:///${secret}` } })),
    /cluster\.server: /,
  ],
  [
    'has keys in files',
    stringify({ ...config('b'), users: [{ name: 'default', user: { tokenFile: `/${secret}` } }] }),
    /user: has no/,
  ],
];
for (const [what, content, reason] of unusable) {
  test(`a server whose kubeconfig ${what} is left out and named, and the others stay`, () => {
    const given = {
      a: stringify(config('a')),
      ...(content === undefined ? {} : { b: content }),
      c: stringify(config('c')),
    };
    const leftOut: string[] = [];
    const merged = mergeKubeconfigs({
      servers: ['a', 'b', 'c'],
      kubeconfigs: new Map(Object.entries(given)),
      control: undefined,
      onLeftOut: (name, why) => leftOut.push(name, why),
    });
    assert.equal(names(merged), ['a', 'c']);
    assert.is(leftOut[0], 'b');
    assert.match(leftOut[1] ?? '', reason);
    assert.not.match(leftOut.join(), secret);
  });
}

test('nothing passes that would run a program or read a file where the operator uses it', () => {
  const hostile = config('b', {
    cluster: { 'proxy-url': 'http://evil', 'certificate-authority': '/etc/shadow', extensions: [{ name: 'x' }] },
    user: {
      exec: { command: 'sh', args: ['-c', 'evil'] },
      'auth-provider': { name: 'gcp', config: { 'cmd-path': 'evil' } },
      tokenFile: '/etc/shadow',
      as: 'system:admin',
    },
  });
  const { merged } = merge({ b: stringify(hostile) });
  assert.equal(names(merged), ['b']);
  assert.not.match(JSON.stringify(merged), /evil|shadow|exec|auth-provider|extensions|system:admin/);
});

test('a YAML bomb is left out', () => {
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]'];
  for (const [last, name] of [...'abcdefgh'].map((_, i, all) => [all[i - 1], all[i]]).slice(1)) {
    bomb.push(`${name}: &${name} [${Array(9).fill(`*${last}`).join(', ')}]`);
  }
  const { merged, leftOut } = merge({ b: bomb.join('\n') });
  assert.equal([names(merged), Object.keys(leftOut)], [[], ['b']]);
});

test('a server cannot take the place of the control cluster', () => {
  const { merged, leftOut } = merge({ a: stringify(config('a')) }, stringify(config('a', { user: { token: 'own' } })));
  assert.equal([names(merged), Object.keys(leftOut)], [['a'], ['a']]);
  assert.is(merged.users[0]?.user.token, 'own');
});

test('the route gives it to the miner alone, not to be kept, and names in the log whom it leaves out', async (context) => {
  const url = await context.start({
    kubeconfigs: async () => new Map([['gpu-1', stringify(config('gpu-1'))]]),
    controlKubeconfig: async () => stringify(config('control-0')),
  });
  const get = (purpose: string) => fetch(`${url}/servers/kubeconfig`, { headers: context.sign({ purpose }) });
  assert.is((await get('management')).status, 401);
  const response = await get('kubeconfig');
  assert.equal([response.status, response.headers.get('cache-control')], [200, 'no-store']);
  const merged = shape.parse(await response.json());
  assert.equal(names(merged), ['control-0', 'gpu-1']);
  const warned = context.warnings.filter(({ server }) => server !== undefined);
  assert.equal(warned, [{ server: 'gpu-0', reason: 'has no kubeconfig', message: 'left out of the kubeconfig' }]);
});

test('a signature for the kubeconfig opens no other route', async ({ call }) => {
  assert.is((await call('GET', '/servers/', { purpose: 'kubeconfig' })).status, 401);
  assert.is((await call('GET', '/servers/kubeconfig', { purpose: 'kubeconfig' })).status, 200);
});

test.run();

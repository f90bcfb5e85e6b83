import { MinerError } from '@miner/controller/domain/errors.ts';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RegistryProxyProps } from './props.ts';
import { registryProxyConfig } from './proxy.ts';

const hotkey = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
const other = '5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ';
const registry = 'registry.chutes.ai';
const props: RegistryProxyProps = { validators: [{ hotkey, registry }] };

function render(change: object): string {
  return registryProxyConfig({ ...props, ...change });
}

/** Values of one directive, in their order. */
function directives(text: string, name: string): string[] {
  return [...text.matchAll(new RegExp(`^\\s*${name} (.*);$`, 'gm'))].map(([, value = '']) => value);
}

test('a validator is found by the lower-case label of its host alone or before any domain, and there is no default', () => {
  const [, map = ''] = /map \$host \$registry \{([^}]*)\}/.exec(render({})) ?? [];
  assert.equal(map.trim().split(/\n\s*/), [
    'hostnames;',
    'default "";',
    `${hotkey.toLowerCase()} ${registry};`,
    `${hotkey.toLowerCase()}.* ${registry};`,
  ]);
});

test('validators with the same registry share its connections', () => {
  const text = render({ validators: [hotkey, other].map((one) => ({ hotkey: one, registry })) });
  assert.is(text.match(/upstream registry_\d/g)?.length, 1);
  assert.equal(directives(text, registry), ['registry_0']);
});

const pools: [registry: string, scheme: 'http' | 'https', server: string][] = [
  ['registry.test', 'https', 'registry.test:443 resolve'],
  ['registry.test', 'http', 'registry.test:80 resolve'],
  ['registry.test:5000', 'https', 'registry.test:5000 resolve'],
  ['10.0.0.7:5000', 'https', '10.0.0.7:5000'],
];
for (const [name, scheme, server] of pools) {
  test(`connections to ${scheme}://${name} are kept to "${server}"`, () => {
    const text = render({ validators: [{ hotkey, registry: name }], scheme });
    assert.equal(directives(text, 'server'), ['127.0.0.1:8000', server]);
  });
}

test('single connections go to the name itself, which nginx looks up by itself', () => {
  const text = render({ upstream: 'single' });
  assert.equal(directives(text, registry), [registry]);
  assert.equal(directives(text, 'server'), ['127.0.0.1:8000']);
});

test('the certificate is verified for https, and nothing of TLS is said for http', () => {
  assert.equal(directives(render({}), 'proxy_ssl_verify'), ['on']);
  assert.not.match(render({ scheme: 'http' }), /proxy_ssl/);
});

test('the log has no place for headers or queries', () => {
  const [format = ''] = directives(render({}), 'log_format');
  assert.ok(format);
  assert.not.match(format, /\$(http_|request(?!_(method|time))|args|query|sent_http|upstream_http|chutes)/);
});

const wrong: [change: object, field: string][] = [
  [{ validators: [] }, 'validators'],
  [{ validators: [{ hotkey: 'short', registry }] }, 'validators[0].hotkey'],
  [{ validators: [{ hotkey, registry: 'https://registry.test' }] }, 'validators[0].registry'],
  [{ validators: [{ hotkey, registry: 'a.test; include /etc/passwd' }] }, 'validators[0].registry'],
  [{ validators: [props.validators[0], { hotkey, registry: 'b.test' }] }, 'validators[1].hotkey'],
  [{ listenPort: 0 }, 'listenPort'],
  [{ authPort: 65_536 }, 'authPort'],
  [{ authPort: undefined }, 'authPort'],
  [{ listenAddress: 'localhost' }, 'listenAddress'],
  [{ resolvers: [] }, 'resolvers'],
  [{ resolvers: ['dns.google'] }, 'resolvers'],
  [{ allowFrom: ['all'] }, 'allowFrom'],
  [{ runDir: 'relative' }, 'runDir'],
  [{ accessLog: '/dev/stdout; }' }, 'accessLog'],
  [{ trustedCertificates: '/a b' }, 'trustedCertificates'],
];
for (const [change, field] of wrong) {
  test(`${JSON.stringify(change).slice(0, 70)} is refused, naming ${field}`, () => {
    try {
      render(change);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, MinerError);
      assert.is((error as MinerError).code, 'E-CONFIG');
      assert.ok((error as MinerError).message.startsWith(`${field}: found `));
    }
  });
}

test('no text in a field brings a character of nginx’s syntax into the file', () => {
  const lines = render({}).split('\n').length;
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9.;{}\s:/$"'#-]{1,20}$/));
  const fields = ['registry', 'listenAddress', 'runDir', 'accessLog', 'trustedCertificates'] as const;
  fc.assert(
    fc.property(text, fc.constantFrom(...fields), (value, field) => {
      const change = field === 'registry' ? { validators: [{ hotkey, registry: value }] } : { [field]: value };
      let rendered: string;
      try {
        rendered = render(change);
      } catch (error) {
        assert.is((error as MinerError).code, 'E-CONFIG');
        return;
      }
      assert.not.match(value, /[\s;{}$"'#]/);
      assert.is(rendered.split('\n').length, lines);
    }),
  );
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { readGravalBootstrapOptions, role } from './graval-bootstrap.ts';
import type { OptionValues } from './role.ts';

const miner = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const validator = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
const env = { MINER_HOTKEY_SS58: miner, VALIDATOR_WHITELIST: `${validator},${miner}` };
const defaults = Object.fromEntries(
  Object.entries(role.options).flatMap(([name, { default: value }]) => (value === undefined ? [] : [[name, value]])),
) as OptionValues;

test('the environment of the Job is enough, and no backend but the GPUs is taken by itself', () => {
  const options = readGravalBootstrapOptions(defaults, env);
  assert.equal([options.minerHotkey, options.validators], [miner, [validator, miner]]);
  assert.equal(options.backend, { backend: 'auto', minerLibrary: undefined });
  assert.equal(
    [options.port, options.statusPort, options.proveLimitMs, options.lifetimeMs],
    [8000, 8001, 900_000, 3_600_000],
  );
  assert.equal(options.tokenOrigins, []);
});

test('options win over the environment', () => {
  const values = {
    ...defaults,
    hotkey: validator,
    'validator-whitelist': miner,
    'validator-api': 'https://api.chutes.ai/x,https://v.example:8443',
    backend: 'vendor',
    library: '/opt/l.so',
  };
  const options = readGravalBootstrapOptions(values, env);
  assert.equal([options.minerHotkey, options.validators], [validator, [miner]]);
  assert.equal(options.tokenOrigins, ['https://api.chutes.ai', 'https://v.example:8443']);
  assert.equal(options.backend, { backend: 'vendor', minerLibrary: '/opt/l.so' });
});

const wrong: [what: string, values: OptionValues, env: Record<string, string>, expected: RegExp][] = [
  ['no hotkey', {}, { VALIDATOR_WHITELIST: validator }, /--hotkey is missing/],
  ['no validators', {}, { MINER_HOTKEY_SS58: miner }, /--validator-whitelist is missing: .*anybody/],
  ['an empty list of validators', {}, { ...env, VALIDATOR_WHITELIST: ',' }, /--validator-whitelist is missing/],
  ['an address that is none', {}, { ...env, VALIDATOR_WHITELIST: 'x' }, /found "x", allowed: ss58/],
  ['an unknown backend', { backend: 'tpu' }, env, /--backend: found "tpu", allowed: auto, vendor, cuda, cpu/],
  [
    'a token from where nobody vouches for it',
    { 'validator-api': 'http://v' },
    env,
    /found "http:\/\/v", allowed: https/,
  ],
  ['a lifetime of a second', { lifetime: '1' }, env, /--lifetime: found "1", allowed/],
];
for (const [what, values, given, expected] of wrong) {
  test(`${what} is refused before anything starts`, () => {
    try {
      readGravalBootstrapOptions({ ...defaults, ...values }, given);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, MinerError);
      assert.match((error as MinerError).message, expected);
      assert.is((error as MinerError).code, 'E-USAGE');
    }
  });
}

test.run();

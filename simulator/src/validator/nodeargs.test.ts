import { type GpuModel, gpuTable } from '@miner/controller/domain/gputable.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hostError, type NodeArgs, specError } from './nodeargs.ts';
import { gpus } from './testingnode.ts';

const l40s = gpuTable.find(({ ref }) => ref === 'l40s') as GpuModel;
const [sample] = gpus(l40s, 'NVIDIA L40S', 1, 'a', 31000) as [NodeArgs];

const specs: [name: string, change: Partial<NodeArgs>, accepted: boolean][] = [
  ['as advertised', {}, true],
  ['an unknown name', { name: 'GeForce 256' }, false],
  ['a name of another model', { name: 'NVIDIA L40' }, false],
  ['one GB less', { memory: 47e9 }, true],
  ['two GB less', { memory: 46e9 }, false],
  ['binary gigabytes', { memory: 48 * 1024 ** 3 }, true],
  ['far too much memory', { memory: 54e9 }, false],
  ['another number of processors', { processors: 141 }, false],
  ['the lowest clock', { clock_rate: 1_065_000 }, true],
  ['below the lowest clock', { clock_rate: 1_064_000 }, false],
  ['a tenth above the boost clock', { clock_rate: 2_772_000 }, true],
  ['more than that', { clock_rate: 2_773_000 }, false],
];
for (const [name, change, accepted] of specs) {
  test(`an L40S record with ${name} is ${accepted ? 'accepted' : 'refused'}`, () => {
    assert.is(specError({ ...sample, ...change }) === undefined, accepted);
  });
}

const hosts: [host: string, accepted: boolean][] = [
  ['203.0.113.10', true],
  ['2001:4860:4860::8888', true],
  ['gpu-1.example.com', true],
  ['10.0.0.1', false],
  ['172.31.0.1', false],
  ['192.168.1.1', false],
  ['127.0.0.1', false],
  ['169.254.1.1', false],
  ['100.64.0.1', false],
  ['224.0.0.1', false],
  ['0.0.0.0', false],
  ['::1', false],
  ['fe80::1', false],
  ['localhost', false],
  ['not a host', false],
  ['', false],
];
for (const [host, accepted] of hosts) {
  test(`host "${host}" is ${accepted ? 'accepted' : 'refused'}`, () => {
    assert.is(hostError(host, false) === undefined, accepted);
  });
}

test('where private hosts are allowed, loopback addresses are, but not arbitrary words', () => {
  assert.is(hostError('127.10.0.3', true), undefined);
  assert.ok(hostError('localhost', true));
});

test.run();

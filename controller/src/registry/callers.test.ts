import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isLocal } from './callers.ts';

const cases: [address: string | undefined, loopback: boolean, privately: boolean][] = [
  ['127.0.0.1', true, true],
  ['127.8.8.8', true, true],
  ['::1', true, true],
  ['::ffff:127.0.0.1', true, true],
  ['10.42.0.1', false, true],
  ['172.16.0.1', false, true],
  ['172.32.0.1', false, false],
  ['192.168.1.1', false, true],
  ['::ffff:192.168.1.1', false, true],
  ['169.254.1.1', false, true],
  ['fe80::1%eth0', false, true],
  ['fd00::1', false, true],
  ['8.8.8.8', false, false],
  ['::ffff:8.8.8.8', false, false],
  ['2001:db8::1', false, false],
  ['localhost', false, false],
  ['', false, false],
  [undefined, false, false],
];

for (const [address, loopback, privately] of cases) {
  test(`${address} is ${loopback ? 'loopback' : privately ? 'private' : 'neither loopback nor private'}`, () => {
    assert.is(isLocal(address, 'loopback'), loopback);
    assert.is(isLocal(address, 'private'), privately);
  });
}

test.run();

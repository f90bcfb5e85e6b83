import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createSigner, verifySignature } from '../signing/sr25519.ts';
import { createStamps } from './stamp.ts';

const key = createSigner(Buffer.alloc(32, 7));
const start = 1_735_689_600_000;

function scene() {
  const deferred: (() => void)[] = [];
  let signed = 0;
  const clock = { at: start, now: () => clock.at };
  const signer = {
    ...key,
    sign(message: string) {
      signed += 1;
      return key.sign(message);
    },
  };
  const stamps = createStamps({ signer, clock, defer: (task) => deferred.push(task) });
  const settle = () => {
    for (const task of deferred.splice(0)) task();
  };
  const nonce = () => Number(stamps.current()[3]) - start / 1000;
  return { stamps, clock, settle, nonce, signed: () => signed };
}

test('the headers are the three of protocol.md 5, signed by the hotkey for registry pulls', () => {
  const headers = scene().stamps.current();
  assert.equal(
    headers.filter((_, i) => i % 2 === 0),
    ['X-Chutes-Hotkey', 'X-Chutes-Nonce', 'X-Chutes-Signature'],
  );
  assert.is(headers[1], key.address);
  assert.is(headers[3], '1735689600');
  const signature = Buffer.from(headers[5] ?? '', 'hex');
  assert.ok(verifySignature(signature, `${key.address}:1735689600:registry`, key.publicKey));
});

test('all requests of a second share one signature', () => {
  const { stamps, clock, signed } = scene();
  const first = stamps.current();
  clock.at += 999;
  for (let i = 0; i < 1000; i++) assert.is(stamps.current(), first);
  assert.is(signed(), 1);
});

test('the first request of a new second is answered at once, and the next ones have the new signature', () => {
  const { clock, settle, nonce, signed, stamps } = scene();
  stamps.current();
  clock.at += 1000;
  assert.is(nonce(), 0);
  assert.is(nonce(), 0);
  assert.is(signed(), 1, 'nothing is signed while a request waits');
  settle();
  assert.is(nonce(), 1);
  assert.is(signed(), 2, 'asked for twice, signed once');
});

test('after a pause the old signature is not handed out any more', () => {
  const { clock, nonce, stamps } = scene();
  stamps.current();
  clock.at += 11_000;
  assert.is(nonce(), 11);
});

test('a clock that was set back gives no nonce from the future', () => {
  const { clock, nonce, stamps } = scene();
  stamps.current();
  clock.at -= 5_000;
  assert.is(nonce(), -5);
});

test.run();

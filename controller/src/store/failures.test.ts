import { inspect } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { rejection } from './contract/world.ts';
import { driverFault, withStoreErrors } from './failures.ts';

function fault(code: string, message: string, more: object = {}): Error {
  return Object.assign(new Error(message), { code, ...more });
}

function rejecting(error: unknown) {
  return withStoreErrors({ saveChutes: () => Promise.reject(error), servers: () => Promise.reject(error) });
}

test('an error says what was tried and why it failed, with the code of the database', async () => {
  const failed = rejecting(new Error('Failed query: …', { cause: fault('57P01', 'terminating connection') }));
  const saving = await rejection(failed.saveChutes());
  assert.is(saving.code, 'E-STORE');
  assert.is(saving.message, 'the store could not save chutes: terminating connection (57P01)');
  assert.equal(saving.detail, { code: '57P01' });
  assert.match((await rejection(failed.servers())).message, 'could not read servers');
});

const secret = '123456789012345';
const leaks = {
  'the parameters in the message of the query': new Error(`Failed query: insert\nparams: ${secret}`),
  'the parameters beside a cause': new Error(`Failed query: insert\nparams: ${secret}`, { cause: new Error('closed') }),
  'the value that did not fit': fault('22003', `value "${secret}" is out of range for type bigint`),
  'the row in the detail': fault('23502', 'null value in column', { detail: `Failing row contains (${secret})` }),
  'the fields of the driver': fault('23514', 'violates check', {
    parameters: [secret],
    params: [secret],
    query: secret,
  }),
};
for (const [where, error] of Object.entries(leaks)) {
  test(`an error does not pass on ${where}`, async () => {
    assert.not.match(inspect(await rejection(rejecting(error).servers()), { depth: 9, showHidden: true }), secret);
  });
}

test('an error of the miner is passed on as it is', async () => {
  const own = new MinerError('E-ALREADY-ADDED', 'known');
  assert.is(await rejection(rejecting(own).servers()), own);
});

test('both drivers name constraint and column in their own fields', () => {
  const postgres = driverFault(fault('23505', 'm', { constraint_name: 'a_key', column_name: 'a' }));
  const pglite = driverFault(fault('23505', 'm', { constraint: 'a_key', column: 'a' }));
  assert.equal(postgres, pglite);
  assert.is(postgres?.constraint, 'a_key');
});

const tries = [
  { name: 'a deadlock is tried again and succeeds', code: '40P01', failures: 2, calls: 3, ends: 'done' },
  { name: 'a deadlock that comes back is an error in the end', code: '40P01', failures: 9, calls: 3, ends: 'E-STORE' },
  { name: 'any other failure is not tried again', code: '40001', failures: 1, calls: 1, ends: 'E-STORE' },
];
for (const { name, code, failures, calls, ends } of tries) {
  test(name, async () => {
    let called = 0;
    const { mark } = withStoreErrors({
      mark: async (): Promise<string> => {
        called += 1;
        if (called <= failures) throw new Error('Failed query', { cause: fault(code, 'no') });
        return 'done';
      },
    });
    assert.is(await mark().catch((error: MinerError) => error.code), ends);
    assert.is(called, calls);
  });
}

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bodyHash } from './auth.ts';
import { minerKey, otherMinerKey, type Reply, raw, send, strangerKey, testValidator } from './testing.ts';

const report = {
  miner_hotkey: minerKey.ss58,
  start_time: '2025-01-01T10:00:00+00:00',
  end_time: '2025-01-01T11:00:00+00:00',
  prometheus_message: 'ok',
  prometheus_metrics: [{ chute_id: 'c', deployment_id: 'd', function: 'f', total_seconds: 12.5, total_count: 3 }],
  deployment_audit: [
    {
      deployment_id: 'd',
      validator: 'v',
      chute_id: 'c',
      version: '1',
      instance_id: null,
      created_at: '2025-01-01T09:59:00.123456',
      verified_at: null,
      deleted_at: null,
    },
  ],
};

function upload(
  url: string,
  content: unknown,
  { block = '4711', key = minerKey, signed }: { block?: string; key?: typeof minerKey; signed?: string } = {},
): Promise<Reply> {
  const body = JSON.stringify(content);
  const nonce = String(Math.floor(Date.now() / 1000));
  const signature = key.sign(`${key.ss58}:${nonce}:${bodyHash(Buffer.from(signed ?? body))}`);
  const headers = { 'X-Chutes-Hotkey': key.ss58, 'X-Chutes-Nonce': nonce, 'X-Chutes-Signature': signature };
  return raw(url, 'POST', '/audit/miner_data', { ...headers, 'X-Chutes-Block': block }, body);
}

test('a report is taken, answered with its entry, kept as it was sent, and listed newest first', async () => {
  const { validator, clock } = await testValidator();
  const { status, json } = await upload(validator.url, report);
  assert.is(status, 200);
  assert.equal(
    [json.hotkey, json.block, json.start_time, json.end_time],
    [minerKey.ss58, 4711, report.start_time, report.end_time],
  );
  assert.is(json.created_at, new Date(clock.now()).toISOString());
  await upload(validator.url, { ...report, miner_hotkey: otherMinerKey.ss58 }, { key: otherMinerKey });
  const listed = (await send(validator.url, 'GET', '/audit/')).json;
  assert.equal([listed.length, listed[1]], [2, json]);
  const [kept] = validator.audits();
  assert.equal(kept?.report, report);
  assert.is(kept?.sha256, bodyHash(Buffer.from(JSON.stringify(report))), 'what the miner commits to on the chain');
  await validator.close();
});

const refusals: [what: string, content: unknown, options: Parameters<typeof upload>[2], status: number][] = [
  ['another body than was signed', report, { signed: '{}' }, 401],
  ['a miner that is not registered', report, { key: strangerKey }, 401],
  ['the hotkey of somebody else', report, { key: otherMinerKey }, 403],
  ['no block', report, { block: 'now' }, 400],
  ['an end before the start', { ...report, end_time: report.start_time }, {}, 400],
  ['no rows', { ...report, deployment_audit: undefined }, {}, 422],
  ['a time that is none', { ...report, start_time: 'yesterday' }, {}, 422],
];
for (const [what, content, options, status] of refusals) {
  test(`a report with ${what} is refused with ${status} and not kept`, async () => {
    const { validator } = await testValidator();
    assert.is((await upload(validator.url, content, options)).status, status);
    assert.equal(validator.audits(), []);
    await validator.close();
  });
}

test.run();

import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createStatusServer } from './status.ts';

test('health, readiness and figures are told, whatever else is asked is 404', async () => {
  let listedAt: number | undefined;
  const counts = { granted: 3, refused_caller: 0, refused_host: 1, refused_image: 2, malformed: 0 };
  const clock = { now: () => 20_000 };
  const server = createStatusServer({ counts, clock, repositories: () => 4, listedAt: () => listedAt });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  async function get(path: string): Promise<{ status: number; text: string }> {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: answer.status, text: await answer.text() };
  }
  try {
    assert.is((await get('/healthz')).status, 200);
    assert.is((await get('/readyz')).status, 503);
    assert.not.match((await get('/metrics')).text, /^miner_registry_list_age_seconds \d/m);
    listedAt = 5_000;
    assert.is((await get('/readyz')).status, 200);
    const { text } = await get('/metrics');
    for (const line of [
      'miner_registry_auth_total{result="granted"} 3',
      'miner_registry_auth_total{result="refused_image"} 2',
      'miner_registry_repositories 4',
      'miner_registry_list_age_seconds 15',
    ]) {
      assert.ok(text.split('\n').includes(line), line);
    }
    assert.is((await get('/registry/auth')).status, 404);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test.run();

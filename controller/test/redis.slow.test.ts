import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startRedis } from './redis.ts';

const program = `
  const { startRedis } = await import(${JSON.stringify(import.meta.resolve('./redis.ts'))});
  const { Redis } = await import(${JSON.stringify(import.meta.resolve('ioredis'))});
  const { url } = await startRedis();
  const redis = new Redis(url);
  const [, folder] = await redis.config('GET', 'dir');
  console.log(url + ' ' + folder);
  if (process.argv[1] === 'wait') setInterval(() => undefined, 1000);
  else redis.disconnect();
`;

async function answers(url: string): Promise<boolean> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return true;
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}

for (const how of ['killed', 'forgetful']) {
  test(`a ${how} test leaves neither server nor files behind`, async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, how === 'killed' ? 'wait' : 'end'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [line] = await once(child.stdout, 'data');
    const [url = '', folder = ''] = String(line).trim().split(' ');
    if (how === 'killed') assert.ok((await answers(url)) && child.kill('SIGKILL'));
    await once(child, 'exit');
    for (let i = 0; i < 200 && (existsSync(folder) || (await answers(url))); i++) await sleep(50);
    assert.not.ok(await answers(url));
    assert.not.ok(existsSync(folder));
  });
}

for (const [data, left] of [
  ['kept', 'one'],
  ['empty', null],
] as const) {
  test(`a server that was killed comes back at its address, ${data}`, async () => {
    const server = await startRedis({ durable: true });
    const redis = new Redis(server.url);
    redis.on('error', () => undefined);
    await redis.set('key', 'one');
    await server.kill();
    await server.start(data);
    assert.is(await redis.get('key'), left);
    redis.disconnect();
    await server.stop();
    await server.stop();
  });
}

test.run();

// Connections of Debian's nginx with our configuration: kept to registry auth and to a registry, and refused from elsewhere.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { registryProxyConfig } from '@miner/manifests/registry/proxy.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../domain/clock.ts';
import { createSigner } from '../signing/sr25519.ts';
import { createPlacedPods } from './placed.ts';
import { createRegistryAuth } from './server.ts';
import { startNginx } from './testing/nginx.ts';
import { freePort } from './testing/processes.ts';

const hotkey = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
const host = `${hotkey.toLowerCase()}.localregistry.chutes.ai:30500`;

async function listen(server: Server): Promise<{ port: number; connections(): number; close(): Promise<void> }> {
  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function start(allowFrom: string[], dir: string) {
  const signatures = new Set<string | string[] | undefined>();
  const registry = await listen(
    createServer((asked, answer) => {
      signatures.add(asked.headers['x-chutes-signature']);
      answer.end('layer');
    }),
  );
  const signer = createSigner(Buffer.alloc(32, 7));
  // Time stands still, so that there is one signature.
  const clock = { ...systemClock, now: () => 1_735_689_600_000 };
  const options = { signer, validators: [hotkey], placed: createPlacedPods(), clock, patienceMs: 0 };
  const auth = await listen(createRegistryAuth(options).server);
  const port = await freePort();
  const config = registryProxyConfig({
    validators: [{ hotkey, registry: `127.0.0.1:${registry.port}` }],
    listenAddress: '127.0.0.1',
    listenPort: port,
    authPort: auth.port,
    scheme: 'http',
    allowFrom,
    runDir: dir,
    accessLog: join(dir, 'access.log'),
  });
  const nginx = await startNginx(dir, config, port);

  function send(path: string): Promise<number> {
    return new Promise((resolve, reject) => {
      request({ port, host: '127.0.0.1', path, headers: { Host: host }, agent: false }, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode ?? 0));
      })
        .on('error', reject)
        .end();
    });
  }

  async function close(): Promise<void> {
    await nginx.stop();
    await Promise.all([registry.close(), auth.close()]);
  }
  return { registry, auth, signatures, send, close };
}

const test = suite<{ dir: string }>('connections');
test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'registry-connections-'));
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

test('one connection to registry auth and one to the registry carry all pulls, granted and refused', async ({
  dir,
}) => {
  const { registry, auth, signatures, send, close } = await start(['127.0.0.0/8'], dir);
  try {
    for (let i = 0; i < 20; i++) {
      assert.is(await send('/v2/'), 200);
      assert.is(await send('/v2/alice/llama/manifests/1'), 401);
    }
    assert.is(auth.connections(), 1);
    assert.is(registry.connections(), 1);
    assert.is(signatures.size, 1);
    assert.match([...signatures].join(), /^[0-9a-f]{128}$/);
  } finally {
    await close();
  }
});

test('a pull from outside the allowed networks is refused before anything is asked', async ({ dir }) => {
  const { registry, auth, send, close } = await start(['10.0.0.0/8'], dir);
  try {
    assert.is(await send('/v2/'), 403);
    assert.is(auth.connections() + registry.connections(), 0);
  } finally {
    await close();
  }
});

test.run();

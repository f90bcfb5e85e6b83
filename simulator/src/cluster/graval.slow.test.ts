import { createHash, randomBytes } from 'node:crypto';
import { scaledClock } from '@miner/controller/domain/clock.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseJson, toJson } from '../lossless.ts';
import { encryptWith, infoAnswer, prove } from '../refc1.ts';
import { hotkeyFromSeed } from '../sr25519.ts';
import { makeServers, startCluster } from './cluster.ts';
import type { SimulatedDevice } from './devices.ts';
import { createBootstrap, createRepository, loopbackBase, miner, until, validator } from './fixtures.ts';

const speed = 60;

function signed(signer: { hotkey: string; seed: string }, tail: string): Record<string, string> {
  const nonce = String(Math.floor(Date.now() / 1000));
  const signature = hotkeyFromSeed(signer.seed).sign(`${miner.hotkey}:${signer.hotkey}:${nonce}:${tail}`);
  return {
    'x-chutes-miner': miner.hotkey,
    'x-chutes-validator': signer.hotkey,
    'x-chutes-nonce': nonce,
    'x-chutes-signature': signature,
  };
}

test('the GraVal Job serves devices to the miner and proofs to the validator, at the pace of its GPUs', async () => {
  const [server] = makeServers(1, 3, loopbackBase()) as [ReturnType<typeof makeServers>[number]];
  const repository = await createRepository();
  const clock = scaledClock(speed, Date.now());
  const cluster = await startCluster({
    servers: [server],
    repository: repository.path,
    clock,
    minerHotkey: miner.hotkey,
    validator: { hotkey: validator.hotkey, api: 'http://127.0.0.1:1' },
    modelSizes: () => undefined,
    random: Math.random,
  });
  try {
    const nodePort = await createBootstrap(cluster.kubeconfig(server.name), server);
    assert.ok(nodePort >= 30086 && nodePort <= 32767, 'a free node port is given');
    const base = `http://${server.ip}:${nodePort}`;
    assert.is(await fetch(`${base}/ping`).catch(() => 'closed'), 'closed', 'no traffic before it is ready');
    await until('it answers', () =>
      fetch(`${base}/ping`).then(
        (response) => response.ok,
        () => false,
      ),
    );

    const devicesFor = (signer: typeof miner, tail: string) =>
      fetch(`${base}/devices`, { headers: signed(signer, tail) });
    assert.is((await devicesFor(validator, 'graval')).status, 401);
    assert.is((await devicesFor(miner, 'management')).status, 401);
    const { devices } = (await (await devicesFor(miner, 'graval')).json()) as { devices: SimulatedDevice[] };
    assert.equal(
      devices.map(({ uuid }) => uuid),
      server.gpuIds,
    );

    const challenge = `03${randomBytes(31).toString('hex')}`;
    const info = await fetch(`${base}/info?challenge=${challenge}`, { headers: signed(validator, 'graval') });
    assert.is(await info.text(), infoAnswer(challenge, devices));

    const [device] = devices as [SimulatedDevice];
    const seed = 6917529027641081857n;
    const ciphertext = { [device.uuid]: encryptWith(prove(seed, 2, device), 'decrypt me please') };
    const body = toJson({ seed, iterations: 2, ciphertext });
    const hash = createHash('sha256').update(body).digest('hex');
    const send = (signer: typeof miner) =>
      fetch(`${base}/prove`, { method: 'POST', body, headers: signed(signer, hash) });
    assert.is((await send(miner)).status, 401);
    const startedAt = clock.now();
    const reply = parseJson(await (await send(validator)).text()) as {
      seed: bigint;
      plaintext: Record<string, string>;
      proof: object;
    };
    const seconds = (clock.now() - startedAt) / 1000;
    assert.ok(seconds >= 64 && seconds < 65 + speed, `${seconds} s for a 4090, which takes 65 s`);
    assert.is(reply.seed, seed);
    assert.is(reply.plaintext[device.uuid], 'decrypt me please');
    assert.is(Object.keys(reply.proof).length, server.gpuCount);
    assert.equal(cluster.violations(), []);
  } finally {
    await cluster.close();
  }
});

test.run();

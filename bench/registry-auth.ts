// Registry auth as nginx asks it: HEAD requests over 32 kept connections, one in flight on each, for manifests and blobs of 16 placed images,
// in the real handler with the real signer. Server and load are processes of their own, each on one core where taskset can pin them.

import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { availableParallelism } from 'node:os';
import { systemClock } from '@miner/controller/domain/clock.ts';
import { createPlacedPods } from '@miner/controller/registry/placed.ts';
import { createRegistryAuth } from '@miner/controller/registry/server.ts';
import { createSigner } from '@miner/controller/signing/sr25519.ts';
import { machine } from './machine.ts';

const connections = 32;
const images = 16;
const warmUpMs = 2_000;
const measureMs = 8_000;
const hotkey = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
const host = `${hotkey.toLowerCase()}.localregistry.chutes.ai:30500`;

interface Load {
  requests: number;
  /** Milliseconds. */
  elapsed: number;
  p50: number;
  p99: number;
}

/** Says its port, then on each message the CPU time it used so far, ms. */
function serve(): void {
  const placed = createPlacedPods();
  for (let i = 0; i < images; i++) {
    const containers = [{ image: `${host}/user-${i}/image:1` }];
    placed.put({ metadata: { name: `pod-${i}` }, spec: { containers } });
  }
  const signer = createSigner(Buffer.alloc(32, 7));
  const { server } = createRegistryAuth({ signer, validators: [hotkey], placed, clock: systemClock });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.((user + system) / 1000);
  });
}

function requestsOf(): Buffer[] {
  return Array.from({ length: images * 2 }, (_, i) => {
    const what = i % 2 === 0 ? 'manifests/1' : `blobs/sha256:${'0a'.repeat(32)}`;
    const uri = `/v2/user-${i >> 1}/image/${what}`;
    return Buffer.from(`HEAD /registry/auth HTTP/1.1\r\nHost: ${host}\r\nX-Original-URI: ${uri}\r\n\r\n`);
  });
}

/** Closed loop: each connection asks again as soon as it has its answer. Anything but 200 ends the run. */
async function load(port: number, ms: number): Promise<Load> {
  const requests = requestsOf();
  const latencies: number[] = [];
  const startedAt = performance.now();
  async function ask(first: number): Promise<void> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let next = first;
    let sentAt = 0;
    let answer = '';
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    function send(): void {
      sentAt = performance.now();
      socket.write(requests[next++ % requests.length] ?? '');
    }
    socket.on('connect', send);
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      if (!answer.endsWith('\r\n\r\n')) return;
      if (!answer.startsWith('HTTP/1.1 200 ')) return reject(new Error(answer));
      answer = '';
      const now = performance.now();
      latencies.push(now - sentAt);
      if (now - startedAt < ms) return send();
      socket.destroy();
      resolve();
    });
    await promise;
  }
  await Promise.all(Array.from({ length: connections }, (_, i) => ask(i)));
  const elapsed = performance.now() - startedAt;
  const sorted = Float64Array.from(latencies).sort();
  const quantile = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  return { requests: sorted.length, elapsed, p50: quantile(0.5), p99: quantile(0.99) };
}

function heard<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T));
    child.once('exit', (code) => reject(new Error(`a part of the benchmark ended with ${code}`)));
  });
}

function pin(child: ChildProcess, core: number): boolean {
  if (availableParallelism() < 2) return false;
  return spawnSync('taskset', ['-a', '-c', '-p', String(core), String(child.pid)]).status === 0;
}

async function main(): Promise<void> {
  const file = import.meta.filename;
  const server = fork(file, ['serve']);
  try {
    const port = await heard<number>(server);
    const pinned = pin(server, 0);
    const cpu = async () => {
      server.send('cpu');
      return heard<number>(server);
    };
    async function run(ms: number): Promise<Load> {
      const generator = fork(file, ['load', String(port), String(ms)]);
      pin(generator, 1);
      return heard<Load>(generator);
    }
    await run(warmUpMs);
    const before = await cpu();
    const { requests, elapsed, p50, p99 } = await run(measureMs);
    const busy = (await cpu()) - before;
    const taken = { n: requests, connections, pinned, machine: machine() };
    const figures: [name: string, value: number, unit: string][] = [
      ['registry-auth', (requests / elapsed) * 1000, 'requests/s'],
      ['registry-auth-per-core', (requests / busy) * 1000, 'requests/s of one core’s time'],
      ['registry-auth-p50', p50, 'ms'],
      ['registry-auth-p99', p99, 'ms'],
    ];
    for (const [name, value, unit] of figures)
      console.log(JSON.stringify({ name, value: Number(value.toPrecision(4)), unit, ...taken }));
  } finally {
    server.kill();
  }
}

const [part, port, ms] = process.argv.slice(2);
if (part === 'serve') serve();
else if (part === 'load') {
  const result = await load(Number(port), Number(ms));
  process.send?.(result, () => process.exit(0));
} else await main();

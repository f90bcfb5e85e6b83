// biome-ignore-all lint/style/noRestrictedImports: only tests use this file
// A node of a chain for tests: the JSON-RPC over WebSocket that a client needs to send one kind of transaction. It reads and checks each
// transaction itself, keeps nonces, and makes a block when asked.

import type { AddressInfo } from 'node:net';
import { blake2b } from '@noble/hashes/blake2.js';
import { type WebSocket, WebSocketServer } from 'ws';
import { encodeAddress } from '../../signing/ss58.ts';
import { chainMetadata, commitmentsPallet } from './metadata.ts';
import { type Commit, readCommit } from './scale.ts';

export interface TestNode {
  url: string;
  /** Commitments in blocks, oldest first; a refused one is in none. */
  commits: (Commit & { block: number })[];
  /** Put what waits into a block at once; on by default. */
  automatic: boolean;
  /** Transactions that wait for a block. */
  waiting(): number;
  makeBlock(): void;
  /** The next transaction gets into a block and fails there, as `AccountNotAllowedCommit`. */
  refuseNext: boolean;
  /** Drop all connections right after the next transaction was taken. */
  hangUpNext: boolean;
  /** Methods that were asked for and are not played. */
  unknown: Set<string>;
  close(): Promise<void>;
}

interface Block {
  number: number;
  hash: string;
  parent: string;
  extrinsics: string[];
  events: string;
}

interface Waiting {
  hex: string;
  commit: Commit;
  fails: boolean;
  tell(status: unknown): void;
}

const specVersion = 424;
const transactionVersion = 1;
// twox128 of pallet and item.
const storageKeys = {
  account: '26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9',
  events: '26aa394eea5630e07c48ae0c9558cef780d41e5e16056765bc8461851072c9d7',
};
const zeroHash = `0x${'00'.repeat(32)}`;

const hex = (bytes: Uint8Array) => `0x${Buffer.from(bytes).toString('hex')}`;
const fromHex = (text: string) => Buffer.from(text.slice(2), 'hex');

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** A block's hash is that of its header; all headers here are empty but for parent and number. */
function makeHeader(number: number, parent: string): Pick<Block, 'number' | 'hash' | 'parent'> {
  const header = Buffer.concat([fromHex(parent), Buffer.of(number << 2), Buffer.alloc(64), Buffer.of(0)]);
  return { number, parent, hash: hex(blake2b(header, { dkLen: 32 })) };
}

/** System.ExtrinsicSuccess or .ExtrinsicFailed of the first transaction. */
function eventsOf(fails: boolean): string {
  const info = Buffer.of(0, 0, 0, 0);
  const event = fails
    ? Buffer.concat([Buffer.of(0, 1, 3, commitmentsPallet, 1, 0, 0, 0), info])
    : Buffer.concat([Buffer.of(0, 0), info]);
  return hex(Buffer.concat([Buffer.of(4, 0), u32(0), event, Buffer.of(0)]));
}

const version = {
  specName: 'node',
  implName: 'node',
  authoringVersion: 1,
  specVersion,
  implVersion: 1,
  apis: [],
  transactionVersion,
  stateVersion: 1,
};

let metadata: string | undefined;

export async function startNode(): Promise<TestNode> {
  metadata ??= chainMetadata();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise<void>((resolve) => server.once('listening', () => resolve()));
  const genesis: Block = { ...makeHeader(0, zeroHash), extrinsics: [], events: '0x00' };
  const blocks = [genesis];
  let waiting: Waiting[] = [];
  const nonces = new Map<string, number>();

  const newest = (): Block => blocks.at(-1) ?? genesis;
  const blockOf = (hash: unknown): Block => blocks.find((block) => block.hash === hash) ?? newest();
  const headerOf = ({ number, parent }: Block) => ({
    number: `0x${number.toString(16)}`,
    parentHash: parent,
    stateRoot: zeroHash,
    extrinsicsRoot: zeroHash,
    digest: { logs: [] },
  });

  /** Period and phase of a mortal era tell the block it starts in. */
  function eraBlock(era: Uint8Array): Uint8Array {
    if (era.length === 1) return fromHex(genesis.hash);
    const encoded = (era[0] ?? 0) | ((era[1] ?? 0) << 8);
    const period = 2 << (encoded % 16);
    const phase = (encoded >> 4) * Math.max(1, period >> 12);
    const start = Math.floor((newest().number - phase) / period) * period + phase;
    return fromHex(blocks[start]?.hash ?? zeroHash);
  }

  function makeBlock(): void {
    const block: Block = { ...genesis, ...makeHeader(newest().number + 1, newest().hash) };
    // One transaction a block is all that the tests need.
    const next = waiting.find(({ commit }) => commit.nonce === (nonces.get(encodeAddress(commit.publicKey)) ?? 0));
    if (next) {
      waiting = waiting.filter((one) => one !== next && one.commit.nonce !== next.commit.nonce);
      block.extrinsics = [next.hex];
      block.events = eventsOf(next.fails);
      nonces.set(encodeAddress(next.commit.publicKey), next.commit.nonce + 1);
      if (!next.fails) node.commits.push({ ...next.commit, block: block.number });
    }
    blocks.push(block);
    next?.tell({ inBlock: block.hash });
  }

  function storage(key: string): string | null {
    const name = key.slice(2, 66);
    if (name === storageKeys.events) return null;
    if (name === storageKeys.account) {
      const address = encodeAddress(fromHex(key).subarray(-32));
      return hex(Buffer.concat([u32(nonces.get(address) ?? 0), Buffer.alloc(76)]));
    }
    const account = fromHex(key).subarray(-32);
    const found = node.commits.findLast(({ publicKey }) => Buffer.compare(publicKey, account) === 0);
    if (!found) return null;
    return hex(Buffer.concat([Buffer.alloc(8), u32(found.block), Buffer.of(4, 131), Buffer.from(found.sha256, 'hex')]));
  }

  function submit(transaction: string, tell: (status: unknown) => void): void {
    const facts = { specVersion, transactionVersion, genesis: fromHex(genesis.hash), eraBlock };
    const commit = readCommit(fromHex(transaction), commitmentsPallet, facts);
    const used = nonces.get(encodeAddress(commit.publicKey)) ?? 0;
    if (commit.nonce < used) throw new Error('Transaction is outdated');
    if (waiting.some((one) => one.commit.nonce === commit.nonce)) throw new Error('Priority is too low');
    waiting.push({ hex: transaction, commit, fails: node.refuseNext, tell });
    node.refuseNext = false;
  }

  const answers: Record<string, (params: unknown[]) => unknown> = {
    rpc_methods: () => ({
      methods: [...Object.keys(answers), 'author_submitAndWatchExtrinsic', 'author_unwatchExtrinsic'],
    }),
    chain_getBlockHash: ([number]) => blocks[Number(number)]?.hash ?? newest().hash,
    chain_getHeader: ([hash]) => headerOf(blockOf(hash)),
    chain_getFinalizedHead: () => newest().hash,
    chain_getBlock: ([hash]) => ({
      block: { header: headerOf(blockOf(hash)), extrinsics: blockOf(hash).extrinsics },
      justifications: null,
    }),
    state_getRuntimeVersion: () => version,
    state_getMetadata: () => metadata,
    state_getStorage: ([key, hash]) =>
      String(key).slice(2) === storageKeys.events ? blockOf(hash).events : storage(String(key)),
    state_queryStorageAt: ([keys, hash]) => [
      { block: blockOf(hash).hash, changes: (keys as string[]).map((key) => [key, storage(key)]) },
    ],
    system_chain: () => 'Test',
    system_properties: () => ({ ss58Format: 42, tokenDecimals: 9, tokenSymbol: 'TAO' }),
  };

  function answer(socket: WebSocket, text: string): void {
    const { id, method, params } = JSON.parse(text) as { id: number; method: string; params: unknown[] };
    const send = (content: object) => socket.send(JSON.stringify({ jsonrpc: '2.0', ...content }));
    try {
      if (method === 'author_submitAndWatchExtrinsic') {
        const subscription = `s${id}`;
        submit(String(params[0]), (result) =>
          send({ method: 'author_extrinsicUpdate', params: { subscription, result } }),
        );
        if (node.hangUpNext) {
          node.hangUpNext = false;
          socket.terminate();
          return;
        }
        send({ id, result: subscription });
        if (node.automatic) setImmediate(makeBlock);
        return;
      }
      if (/subscribe|unwatch/i.test(method)) {
        send({ id, result: /^\w+_un/.test(method) ? true : `s${id}` });
        if (method === 'state_subscribeRuntimeVersion') {
          send({ method: 'state_runtimeVersion', params: { subscription: `s${id}`, result: version } });
        }
        return;
      }
      const known = answers[method];
      if (!known) {
        node.unknown.add(method);
        send({ id, error: { code: -32601, message: `Method not found: ${method}` } });
        return;
      }
      send({ id, result: known(params) });
    } catch (error) {
      send({
        id,
        error: { code: 1010, message: `Invalid Transaction: ${error instanceof Error ? error.message : error}` },
      });
    }
  }

  server.on('connection', (socket) => socket.on('message', (message) => answer(socket, String(message))));
  const node: TestNode = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    commits: [],
    automatic: true,
    waiting: () => waiting.length,
    makeBlock,
    refuseNext: false,
    hangUpNext: false,
    unknown: new Set(),
    close() {
      for (const client of server.clients) client.terminate();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  for (let i = 0; i < 3; i++) makeBlock();
  return node;
}

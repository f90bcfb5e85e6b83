// For tests: a socket.io server that speaks as a validator does, can go away and come back at the same port, and knows what it sent to
// a miner that was connected.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Socket as Peer, Server } from 'socket.io';

export interface Broadcaster {
  port: number;
  /** Send one broadcast to the miner; false when none is signed in. */
  send(reason: string, data: Record<string, unknown>): boolean;
  /** Times that a miner signed in. */
  signIns(): number;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function startBroadcaster(): Promise<Broadcaster> {
  let server: Server | undefined;
  let peer: Peer | undefined;
  let port = 0;
  let signIns = 0;

  async function start(): Promise<void> {
    const http = createServer();
    server = new Server(http);
    server.on('connection', (one) => {
      one.on('authenticate', () => {
        signIns += 1;
        peer = one;
        one.emit('auth_success', { message: 'authenticated' });
      });
      one.on('disconnect', () => {
        if (peer === one) peer = undefined;
      });
    });
    await new Promise<void>((resolve, reject) => {
      http.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    port = (http.address() as AddressInfo).port;
  }

  await start();
  return {
    port,
    send(reason, data) {
      if (!peer) return false;
      peer.emit('miner_broadcast', { reason, data });
      return true;
    },
    signIns: () => signIns,
    async stop() {
      peer = undefined;
      await server?.close();
      server = undefined;
    },
    start,
  };
}

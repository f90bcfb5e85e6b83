// The network between a store and its database, for tests: it carries, refuses, or swallows what is sent.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Wire {
  /** The database behind it, as seen from this side. */
  url: string;
  /** Connections break and new ones are refused, as with a server that was stopped. */
  cut(): Promise<void>;
  /** Connections stay and new ones are accepted, but nothing passes any more, as with a server that froze. */
  swallow(): void;
  /** Carries new connections; those that fell silent never speak again. */
  mend(): Promise<void>;
  close(): Promise<void>;
}

export async function wireTo(url: string): Promise<Wire> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let listener: Server | undefined;
  let port = 0;
  let silent = false;

  function track(socket: Socket): void {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  }

  function carry(near: Socket): void {
    track(near);
    if (silent) return;
    const far = connect(Number(target.port || 5432), target.hostname);
    track(far);
    near.pipe(far);
    far.pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  }

  async function listen(): Promise<void> {
    listener = createServer(carry).listen(port, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    if (typeof address === 'object' && address) port = address.port;
  }

  async function cut(): Promise<void> {
    const ended = listener?.listening ? once(listener, 'close') : undefined;
    listener?.close();
    for (const socket of sockets) socket.destroy();
    await ended;
  }

  function swallow(): void {
    silent = true;
    for (const socket of sockets) socket.unpipe().pause();
  }

  async function mend(): Promise<void> {
    silent = false;
    if (!listener?.listening) await listen();
  }

  await listen();
  const near = new URL(url);
  near.hostname = '127.0.0.1';
  near.port = String(port);
  return { url: near.href, cut, swallow, mend, close: cut };
}

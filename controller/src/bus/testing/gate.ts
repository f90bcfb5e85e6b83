// For tests: a door in front of a server on 127.0.0.1. While it is shut nobody reaches the server, not even while that starts again.

import { type AddressInfo, connect, createServer, type Server } from 'node:net';

export interface Gate {
  /** The server's URL with the port of the gate. */
  url: string;
  /** Takes no new connection; those that are there are left to the server. */
  shut(): void;
  open(): Promise<void>;
  /** Shut, and every connection ended. */
  close(): Promise<void>;
}

export async function openGate(serverUrl: string): Promise<Gate> {
  const target = new URL(serverUrl);
  const ends = new Set<() => void>();
  let port = 0;
  let server: Server | undefined;

  async function open(): Promise<void> {
    const listening = createServer((inside) => {
      const outside = connect(Number(target.port || 5432), target.hostname);
      const end = () => {
        inside.destroy();
        outside.destroy();
        ends.delete(end);
      };
      ends.add(end);
      inside.pipe(outside).pipe(inside);
      for (const socket of [inside, outside]) socket.on('error', end).on('close', end);
    });
    await new Promise<void>((resolve, reject) => {
      listening.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    port = (listening.address() as AddressInfo).port;
    server = listening;
  }

  await open();
  const url = new URL(serverUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);

  function shut(): void {
    server?.close();
    server = undefined;
  }

  return {
    url: url.href,
    shut,
    open,
    async close() {
      shut();
      for (const end of ends) end();
    },
  };
}

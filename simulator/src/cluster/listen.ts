// HTTP servers of the stand-in that can vanish at once, as a machine that loses power does: closing destroys open connections.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';

export interface Listener {
  /** The port really bound. */
  port: number;
  close(): Promise<void>;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

function listen(server: Server, host: string, port: number): Promise<Listener> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address ? address.port : port,
        close() {
          for (const socket of sockets) socket.destroy();
          return new Promise((done) => server.close(() => done()));
        },
      });
    });
  });
}

/** Rejects with the system's error (EADDRINUSE …) when the address cannot be bound. Port 0: any free one. */
export function listenHttp(host: string, port: number, handler: Handler): Promise<Listener> {
  return listen(createServer(handler), host, port);
}

/** A TCP port that accepts and says nothing. */
export function listenTcp(host: string, port: number): Promise<Listener> {
  return listen(createTcpServer(), host, port);
}

const bodyLimit = 8 * 1024 * 1024;

/** Body as text. Rejects when it is longer than 8 MiB. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > bodyLimit) throw new RangeError('request body above 8 MiB');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function sendText(response: ServerResponse, code: number, type: string, body: string): void {
  response.writeHead(code, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

export function sendJson(response: ServerResponse, code: number, body: unknown): void {
  sendText(response, code, 'application/json', JSON.stringify(body));
}

// The socket of a validator (protocol.md 2): miners authenticate after connecting; targeted messages go to the latest socket of a
// hotkey, all others to everyone. Missed messages are not repeated: the socket is a hint, the feeds are the truth.

import type { Server as HttpServer } from 'node:http';
import { Server, type Socket } from 'socket.io';
import { checkRequest, credentialsOf, socketNames } from './auth.ts';
import type { World } from './world.ts';

export interface MinerSocket {
  broadcast(reason: string, data: Record<string, unknown>, recipients?: readonly string[]): void;
  /** Sockets that are connected, authenticated or not. */
  connections(): number;
  close(): void;
}

export function createSocket(http: HttpServer, world: World): MinerSocket {
  const io = new Server(http, { serveClient: false });
  const latest = new Map<string, Socket>();

  function authenticate(socket: Socket, payload: unknown): boolean {
    const headers = typeof payload === 'object' && payload !== null ? (payload as Record<string, unknown>) : {};
    const credentials = credentialsOf(headers, socketNames);
    const verdict = checkRequest(credentials, 'sockets', { registered: world.registered });
    if (credentials && verdict.ok) {
      latest.set(credentials.hotkey, socket);
      socket.data.hotkey = credentials.hotkey;
      socket.emit('auth_success', { message: 'authenticated' });
      world.log('miner connected', { hotkey: credentials.hotkey });
      return true;
    }
    if (verdict.wrongTail) world.violation('wrong-purpose', `socket signed for ${verdict.wrongTail.slice(0, 20)}`);
    else world.state.rejected++;
    world.changed();
    socket.emit('auth_failed', { error: 'not authenticated' });
    return false;
  }

  function forget(socket: Socket): void {
    const { hotkey } = socket.data as { hotkey?: string };
    if (hotkey === undefined) return;
    // The older validator forgets the hotkey when any of its sockets closes, even if a newer one is open.
    if (world.generation === 'v25' || latest.get(hotkey) === socket) latest.delete(hotkey);
  }

  io.on('connection', (socket) => {
    socket.on('authenticate', (payload: unknown, acknowledge?: unknown) => {
      const ok = authenticate(socket, payload);
      if (typeof acknowledge === 'function') acknowledge(ok);
      // Lets `auth_failed` and the acknowledgement leave before the connection closes.
      if (!ok) setImmediate(() => socket.disconnect(true));
    });
    socket.on('miner_message', () => {
      if (!socket.data.hotkey) socket.disconnect(true);
    });
    socket.on('disconnect', () => forget(socket));
  });

  return {
    broadcast(reason, data, recipients) {
      if (!recipients) {
        io.emit('miner_broadcast', { reason, data });
        return;
      }
      const message = { reason, data, filter_recipients: recipients };
      for (const hotkey of recipients) latest.get(hotkey)?.emit('miner_broadcast', message);
    },
    connections: () => io.of('/').sockets.size,
    close() {
      // The HTTP server belongs to the caller, who closes it with all connections.
      io.disconnectSockets(true);
      io.engine.close();
    },
  };
}

import type { Socket } from 'node:net';
import type { HttpBindings } from '@hono/node-server';
import type { MiddlewareHandler } from 'hono';
import type { RequestIdVariables } from 'hono/request-id';
import type { ClientBindings } from '../http/client-address.ts';
import { MAX_PATH_CHARACTERS } from '../http/path-limit.ts';
import type { Log } from '../model/log.ts';

/**
 * Writes one line per request, when the last byte is sent or the connection breaks. Never the query, which may hold an upload
 * session.
 */
export function accessLog(
  log: Log,
): MiddlewareHandler<{ Bindings: HttpBindings & ClientBindings; Variables: RequestIdVariables }> {
  /** Bytes counted for earlier requests of a connection. */
  const counted = new WeakMap<Socket, { bytesRead: number; bytesWritten: number }>();
  return async (c, next) => {
    const { incoming, outgoing } = c.env;
    const { socket } = incoming;
    const before = counted.get(socket) ?? { bytesRead: 0, bytesWritten: 0 };
    const started = performance.now();
    outgoing.on('close', () => {
      counted.set(socket, { bytesRead: socket.bytesRead, bytesWritten: socket.bytesWritten });
      log.info('request', {
        requestId: c.get('requestId'),
        method: incoming.method,
        path: c.req.path.slice(0, MAX_PATH_CHARACTERS),
        status: outgoing.statusCode,
        ...(outgoing.writableFinished ? {} : { broken: true }),
        durationMs: Math.round(performance.now() - started),
        bytesIn: socket.bytesRead - before.bytesRead,
        bytesOut: socket.bytesWritten - before.bytesWritten,
        client: c.env.clientAddress ?? socket.remoteAddress,
        userAgent: incoming.headers['user-agent'],
      });
    });
    await next();
  };
}

import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Systems choose ports from 32,768 on, Windows and macOS from 49,152 on, for connections and for servers that ask for any port: a
 * port from there could be taken again before its server listens.
 */
const [FIRST, LAST] = [20_000, 32_000];

const TRIES = 100;

/** A port on which no server listens, for a program that is told its port. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = randomInt(FIRST, LAST);
    if (await canListen(port)) return port;
  }
  throw new Error('no port is free');
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  return await promise;
}

import { connect, createServer, type Socket } from 'node:net';
import { freePort } from '../support/free-port.ts';

/** A wire between a client and the server, that counts what passes and can be cut. */
export interface Wire {
  port: number;
  /** What clients have sent to the server so far. */
  bytesSent(): number;
  /** Resolves as soon as `bytes` more than now have been sent to the server. */
  afterSending(bytes: number): Promise<void>;
  /** Breaks every connection in the middle of what it carries; new ones are taken again. */
  cut(): void;
  close(): Promise<void>;
}

export async function openWire(serverPort: number): Promise<Wire> {
  const sockets = new Set<Socket>();
  const waiting: { bytes: number; resolve: () => void }[] = [];
  let sent = 0;

  const server = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined); // 'close' follows
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
    client.on('data', (chunk: Buffer) => {
      sent += chunk.length;
      for (const { bytes, resolve } of waiting) if (sent >= bytes) resolve();
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));

  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port,
    bytesSent: () => sent,
    afterSending: (bytes) => new Promise((resolve) => waiting.push({ bytes: sent + bytes, resolve })),
    cut,
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';

export type Fault =
  /** The server never sees the request. */
  | { kind: 'drop' }
  /** The server does what it was asked, but its answer is lost. */
  | { kind: 'lose-answer' }
  /** The server is not asked; this is the answer. */
  | { kind: 'refuse'; status: number; code: string }
  /** The answer breaks off after so many bytes. */
  | { kind: 'cut'; afterBytes: number }
  /** The request waits for this. */
  | { kind: 'hold'; until: Promise<unknown> };

export type SeenRequest = { method: string; url: string; conditional: boolean };

export type FaultyProxy = {
  endpoint: string;
  requests: SeenRequest[];
  /** Requests whose answer was not sent to its end. */
  brokenOff: () => number;
  /** The next `times` requests that match suffer the fault. Forgets the faults and requests before. */
  fail(matches: (request: SeenRequest) => boolean, fault: Fault, times?: number): void;
  /** From now on nothing suffers. */
  heal(): void;
  close(): Promise<void>;
};

/** Stands before a real S3 server and lets a network, or S3 on a bad day, happen. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  let fault: { matches: (request: SeenRequest) => boolean; fault: Fault; left: number } | undefined;
  const requests: SeenRequest[] = [];
  let brokenOff = 0;

  const server = createServer((incoming, outgoing) => {
    const seen = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      conditional: 'if-match' in incoming.headers || 'if-none-match' in incoming.headers,
    };
    requests.push(seen);
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) brokenOff++;
    });
    const suffers = fault !== undefined && fault.left > 0 && fault.matches(seen);
    if (suffers && fault) fault.left--;
    answer(incoming, outgoing, suffers ? fault?.fault : undefined).catch(() => outgoing.destroy());
  });

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse, what: Fault | undefined): Promise<void> {
    if (what?.kind === 'drop') return void incoming.destroy();
    if (what?.kind === 'refuse') {
      incoming.resume();
      await once(incoming, 'end');
      outgoing.writeHead(what.status, { 'content-type': 'application/xml' });
      return void outgoing.end(`<Error><Code>${what.code}</Code><Message>so we say</Message></Error>`);
    }
    if (what?.kind === 'hold') await what.until;
    // The headers, the host among them, are signed: they have to arrive as they are.
    const { method, url, headers } = incoming;
    const forwarded = request(new URL(url ?? '/', target), { method, headers, agent: false });
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
    const [response]: IncomingMessage[] = await once(forwarded, 'response');
    if (!response) throw new Error('no response');
    if (what?.kind === 'lose-answer') {
      response.resume();
      await once(response, 'end');
      return void outgoing.destroy();
    }
    outgoing.writeHead(response.statusCode ?? 500, response.headers);
    if (what?.kind === 'cut') {
      let sent = 0;
      for await (const chunk of response) {
        outgoing.write(chunk);
        sent += chunk.length;
        if (sent > what.afterBytes) break;
      }
      return void outgoing.destroy();
    }
    await pipeline(response, outgoing);
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');

  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    requests,
    brokenOff: () => brokenOff,
    fail(matches, what, times = 1) {
      fault = { matches, fault: what, left: times };
      requests.length = 0;
      brokenOff = 0;
    },
    heal() {
      fault = undefined;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { forward, type S3Proxy, sendError, sendResponse, startProxy } from './s3-proxy.ts';

export type Fault =
  /** The server does not get the request. */
  | { kind: 'drop' }
  /** The server does what the request says, but its response is lost. */
  | { kind: 'lose-answer' }
  /** The proxy responds with this error; the server does not get the request. */
  | { kind: 'refuse'; status: number; code: string }
  /** The response breaks off after so many bytes. */
  | { kind: 'cut'; afterBytes: number }
  /** The request waits for this. */
  | { kind: 'hold'; until: Promise<unknown> };

export type SeenRequest = { method: string; url: string; conditional: boolean };

export type FaultyProxy = S3Proxy & {
  requests: SeenRequest[];
  /** How many requests have got no response, or a part of one. */
  brokenOff: () => number;
  /** The next `times` requests that match get the fault. Forgets earlier faults and requests. */
  fail(matches: (request: SeenRequest) => boolean, fault: Fault, times?: number): void;
  /** Ends the fault. */
  heal(): void;
};

/** A proxy in front of a real S3 server that acts as a network, or S3, at fault. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  let fault: { matches: (request: SeenRequest) => boolean; fault: Fault; left: number } | undefined;
  const requests: SeenRequest[] = [];
  let brokenOff = 0;

  const proxy = await startProxy(async (incoming, outgoing) => {
    const seen = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      conditional: 'if-match' in incoming.headers || 'if-none-match' in incoming.headers,
    };
    requests.push(seen);
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) brokenOff++;
    });
    const isHit = fault !== undefined && fault.left > 0 && fault.matches(seen);
    if (isHit && fault) fault.left--;
    await answer(incoming, outgoing, isHit ? fault?.fault : undefined);
  });

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse, what: Fault | undefined): Promise<void> {
    if (what?.kind === 'drop') return void incoming.destroy();
    if (what?.kind === 'refuse') return await sendError(incoming, outgoing, what);
    if (what?.kind === 'hold') await what.until;
    const response = await forward(target, incoming, outgoing);
    if (what?.kind === 'lose-answer') {
      response.resume();
      await once(response, 'end');
      return void outgoing.destroy();
    }
    if (what?.kind !== 'cut') return await sendResponse(response, outgoing);
    outgoing.writeHead(response.statusCode ?? 500, response.headers);
    let sent = 0;
    for await (const chunk of response) {
      outgoing.write(chunk);
      sent += chunk.length;
      if (sent > what.afterBytes) break;
    }
    outgoing.destroy();
  }

  return {
    ...proxy,
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
  };
}

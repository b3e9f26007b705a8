// The Node server: connection limits, and a shutdown that waits for transfers.
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Hono } from 'hono';
import { TurnQueue } from '../concurrency/turn-queue.ts';
import type { ClientBindings } from '../http/client-address.ts';
import { Headers as OwnHeaders, Response as OwnResponse } from '../http/fetch-classes.ts';
import { forwardedFor } from '../http/forwarded-for.ts';
import { networkOf } from '../http/network.ts';
import { allowHeader, type BodyBindings, type OriginBindings } from '../http/request.ts';
import { requestOrigin } from '../http/request-origin.ts';
import { UnsentAnswers } from '../limits/unsent-answers.ts';
import type { Log } from '../model/log.ts';
import { blockPool } from '../streams/block-pool.ts';
import { type ByteSource, knownSourceOf, writeAll } from '../streams/byte-source.ts';
import type { HashBlocks } from '../streams/hash-blocks.ts';
import { discardBodyAfterResponse, discardRequestBody } from './drain-request.ts';
import { listenError } from './listen-error.ts';
import { requestBlocks } from './request-blocks.ts';
import { UnansweredRequests } from './unanswered-requests.ts';

/** Time for a client to send its headers. */
const HEADERS_MS = 60_000;
/** Idle time between two requests; longer than the 60 s that load balancers default to. */
const KEEP_ALIVE_MS = 75_000;
/** Time without any byte after which a transfer is cut. Slow transfers are legitimate, so a whole request has no limit. */
export const IDLE_MS = 5 * 60_000;
const CLOSE_IDLE_MS = 100;
/** How many requests begin in one turn of the event loop. */
export const REQUESTS_IN_A_TURN = 8;
const MAX_HEADER_BYTES = 32 * 1024;
/** Placeholder in the URL of a request without `Host`, which HTTP/1.0 allows. No answer contains it. */
const UNNAMED_HOST = 'localhost';

export type NodeServer = {
  /** The address it listens on: `http://127.0.0.1:5000`. */
  url: URL;
  /** Accepts no new connections, and resolves when all current requests have ended. */
  stop(): Promise<void>;
  /** Ends all connections at once. */
  kill(): void;
};

/** A certificate with its chain, and its key, both in PEM. */
export type Certificate = { cert: Buffer; key: Buffer };

export type ListenOptions = {
  host: string;
  /** 0 for any free port. */
  port: number;
  /** Descriptors of one socket that is bound to this address: the server accepts from each. Default: it opens a socket of its own. */
  sockets?: readonly number[];
  /** Plain HTTP without. */
  tls?: Certificate;
  /** Number of proxies in front that append to `X-Forwarded-For`. Earlier entries, which a client can forge, are ignored. */
  trustedProxies?: TrustedProxies;
  /**
   * The hop in front passes on no answer while the body still arrives, and times out waiting for its end. So the server reads
   * the rest of an unwanted body before it answers, and cuts the connection where the rest takes too long.
   */
  isHalfDuplex?: boolean;
  /** Hashes the blocks of `blockPool` in which bodies arrive. Default: in this thread. */
  hashBlocks?: HashBlocks;
  /** For answers that break off because storage fails. */
  log?: Log;
};

/** A fixed number of trusted proxies, or a function of the request's headers. */
export type TrustedProxies = number | ((headers: IncomingHttpHeaders) => number);

export type ListenerOptions = Pick<ListenOptions, 'trustedProxies' | 'isHalfDuplex' | 'hashBlocks' | 'log'> & {
  /** True from when connections are no longer kept for a next request. */
  isStopping?: () => boolean;
  /** Bound of the memory for answers that clients do not receive. */
  maxUnsentBytes?: number;
};

/** What answers the requests of a Node server, with HTTPS or without. */
export function createNodeListener(
  app: Hono,
  {
    trustedProxies = 0,
    isHalfDuplex = false,
    hashBlocks,
    isStopping = () => false,
    maxUnsentBytes,
    log,
  }: ListenerOptions = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  const trustedOf = (headers: IncomingHttpHeaders) =>
    typeof trustedProxies === 'number' ? trustedProxies : trustedProxies(headers);
  const clientOf = ({ headers, socket }: IncomingMessage) =>
    forwardedFor(headers['x-forwarded-for']?.toString(), trustedOf(headers)) ?? socket.remoteAddress;
  const unsent = new UnsentAnswers(maxUnsentBytes);
  const unanswered = new UnansweredRequests();
  const queue = new TurnQueue(REQUESTS_IN_A_TURN);
  const fetch = async (request: Request, env: HttpBindings) => {
    const { incoming, outgoing } = env;
    const { headers, socket } = incoming;
    const clientAddress = clientOf(incoming);
    const bindings: HttpBindings & ClientBindings & OriginBindings & BodyBindings = {
      ...env,
      readBlocks: (onBytes) => ({
        bytes: requestBlocks(incoming, onBytes),
        giveBack: blockPool.giveBack,
        ...(hashBlocks && { hashBlocks }),
      }),
      disconnect: () => void incoming.socket.destroy(),
      ...(clientAddress !== undefined && { clientAddress }),
      // Not a getter: V8 makes a hidden class for each object that has a getter of its own, which keeps the request in memory for long.
      reached: () =>
        requestOrigin({
          header: (name) => headers[name.toLowerCase()]?.toString(),
          httpVersion: incoming.httpVersion,
          isTls: 'encrypted' in socket,
          localAddress: socket.localAddress,
          localPort: socket.localPort,
          trustedProxies: trustedOf(headers),
        }),
    };
    const response = await app.fetch(request, bindings);
    // Node closes such a connection together with the answer, so the rest of the body is read before.
    if ((isHalfDuplex || !outgoing.shouldKeepAlive) && !(await discardRequestBody(incoming)) && isHalfDuplex)
      outgoing.destroy();
    if (sendWhole(response, outgoing)) return RESPONSE_ALREADY_SENT;
    const source = response.body && knownSourceOf(response.body);
    if (!source) return response;
    await sendSource(response, source, outgoing, log);
    return RESPONSE_ALREADY_SENT;
  };
  const listener = getRequestListener((request, env) => fetch(request, env as HttpBindings), {
    overrideGlobalObjects: false,
    autoCleanupIncoming: false, // it cuts a body after 500 ms
    hostname: UNNAMED_HOST,
  });
  return (request, response) => {
    if (!unanswered.admit(request, response)) return;
    if (isStopping()) response.shouldKeepAlive = false;
    discardBodyAfterResponse(response, request);
    // `OPTIONS *` asks about the whole server. https://www.rfc-editor.org/rfc/rfc9110#section-9.3.7
    if (request.method === 'OPTIONS' && request.url === '*')
      return void response.writeHead(204, { Allow: allowHeader() }).end();
    queue.run(() => {
      if (request.socket.destroyed) return; // the client has gone meanwhile
      void listener(request, response).then(() => unsent.add(response, networkOf(clientOf(request) ?? '')));
    });
  };
}

/**
 * Sends an answer whose body is in memory, where that is known: with the classes of this project.
 * @returns whether it was sent
 */
function sendWhole(response: Response | OwnResponse, outgoing: ServerResponse): boolean {
  const body = response instanceof OwnResponse ? response.wholeBody : undefined;
  if (body === undefined || !(response.headers instanceof OwnHeaders)) return false;
  if (body && !response.headers.has('content-type')) return false;
  if (body && !response.headers.has('content-length')) response.headers.set('content-length', String(body.length));
  if (!outgoing.destroyed) outgoing.writeHead(response.status, response.headers.toList()).end(body);
  return true;
}

/** Sends the body without web streams. If its source fails, the connection is cut, so that no client takes the part for the whole. */
async function sendSource(
  { status, headers }: Response,
  source: ByteSource,
  outgoing: ServerResponse,
  log: Log | undefined,
): Promise<void> {
  outgoing.strictContentLength = true; // `write` and `end` throw where the source does not have the length of the headers
  if (!outgoing.destroyed) outgoing.writeHead(status, Object.fromEntries(headers));
  try {
    await writeAll(source, outgoing, outgoing.req.socket);
    if (!outgoing.destroyed) outgoing.end();
  } catch (error) {
    const path = outgoing.req.url?.split('?', 1)[0];
    log?.error('answer broken off', {
      requestId: headers.get('X-Request-Id'),
      method: outgoing.req.method,
      path,
      error,
    });
    outgoing.destroy();
  }
}

export async function startNodeServer(
  app: Hono,
  { host, port, sockets, tls, ...listening }: ListenOptions & Pick<ListenerOptions, 'maxUnsentBytes'>,
): Promise<NodeServer & { useCertificate(certificate: Certificate): void }> {
  let isStopping = false;
  const answer = createNodeListener(app, { ...listening, isStopping: () => isStopping });
  const options = {
    headersTimeout: HEADERS_MS,
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    noDelay: true,
  };
  const tlsServer = tls && createTlsServer({ ...options, ...tls }, answer);
  const server = tlsServer ?? createServer(options, answer);
  server.setTimeout(IDLE_MS);
  const connections = new Set<Socket>();
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  const [socket, ...furtherSockets] = sockets ?? [];
  await listen(server, { host, port, socket });
  const acceptors = furtherSockets.map((fd) => acceptFor(server, { fd, isTls: tls !== undefined }));
  const { address, port: actualPort, family } = server.address() as AddressInfo;
  return {
    url: new URL(`${tls ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${actualPort}`),
    stop: () =>
      new Promise((resolve) => {
        isStopping = true;
        // Repeated, because connections become idle as their requests end.
        const closing = setInterval(() => {
          server.closeIdleConnections();
          closeUnused(connections);
        }, CLOSE_IDLE_MS);
        const closed = [server, ...acceptors].map((each) => new Promise((end) => each.close(end)));
        void Promise.all(closed).then(() => {
          clearInterval(closing);
          resolve();
        });
      }),
    kill: () => server.closeAllConnections(),
    // Connections keep the one with which they began.
    useCertificate: (certificate) => tlsServer?.setSecureContext(certificate),
  };
}

/** Go clients open spare connections. Node does not count a connection without any request as idle. */
function closeUnused(connections: Iterable<Socket>): void {
  for (const socket of connections) if (socket.bytesRead === 0) socket.destroy();
}

/**
 * @param options.socket descriptor of a socket that is bound to host and port
 * @throws Error if the port or address cannot be used
 */
function listen(
  server: Server,
  { host, port, socket }: { host: string; port: number; socket: number | undefined },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => reject(listenError(error, { host, port }));
    server.once('error', fail);
    server.listen(socket === undefined ? { host, port } : { fd: socket }, () => {
      server.off('error', fail);
      const bound = server.address() as AddressInfo;
      if (port === 0 || bound.port === port) return resolve();
      // The failure of a bind shows only now: `listen` then chooses a port of its own.
      server.close();
      fail(Object.assign(new Error('in use'), { code: 'EADDRINUSE' }));
    });
  });
}

/** Accepts connections from a further descriptor of the server's socket. */
function acceptFor(server: Server, { fd, isTls }: { fd: number; isTls: boolean }): TcpServer {
  const acceptor = createTcpServer({ allowHalfOpen: !isTls, noDelay: true }); // as the servers of Node do
  return acceptor.on('connection', (socket) => server.emit('connection', socket)).listen({ fd });
}

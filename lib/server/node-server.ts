// The registry as one Node process. Everything about connections is here: limits, and an end that waits for transfers.
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import type { Hono } from 'hono';
import type { ClientBindings } from '../http/client-address.ts';
import { forwardedFor } from '../http/forwarded-for.ts';
import { networkOf } from '../http/network.ts';
import { allowHeader, type OriginBindings } from '../http/request.ts';
import { requestOrigin } from '../http/request-origin.ts';
import { UnsentAnswers } from '../limits/unsent-answers.ts';
import { lingerAfter, takeRest } from './drain-request.ts';

/** How long a client may take to send its headers. */
const HEADERS_MS = 60_000;
/** How long a connection may rest between two requests; longer than the 60 s of the usual load balancers. */
const KEEP_ALIVE_MS = 75_000;
/** How long a transfer may stand still. A slow one may take for ever, so there is no limit on a whole request. */
const IDLE_MS = 5 * 60_000;
const CLOSE_IDLE_MS = 100;
const MAX_HEADER_BYTES = 32 * 1024;
/** In the URLs of requests without `Host`, which HTTP/1.0 allows: nothing is made of it. */
const UNNAMED_HOST = 'localhost';

export type NodeServer = {
  /** Where it listens: `http://127.0.0.1:5000`. */
  url: URL;
  /** Takes no new connections, and resolves when the requests under way have ended. */
  stop(): Promise<void>;
  /** Ends connections at once. */
  kill(): void;
};

export type ListenOptions = {
  host: string;
  /** 0 for any free one. */
  port: number;
  /** Certificate (with its chain) and key, both in PEM; plain HTTP without. */
  tls?: { cert: Buffer; key: Buffer };
  /** How many proxies in front say, in `X-Forwarded-For`, who asked them; what the client wrote there itself is not believed. */
  trustedProxies?: TrustedProxies;
  /**
   * The hop in front takes no answer while a body still comes, and would wait for its end until it times out. So the rest of
   * a body that is not wanted is taken first, or the connection is cut off where that is too much.
   */
  isHalfDuplex?: boolean;
};

/** How many, or how many of them a request shows that it came by. */
export type TrustedProxies = number | ((headers: IncomingHttpHeaders) => number);

export type ListenerOptions = Pick<ListenOptions, 'trustedProxies' | 'isHalfDuplex'> & {
  /** True from when connections are no longer kept for a next request. */
  isStopping?: () => boolean;
};

/** What answers the requests of a Node server, with HTTPS or without. */
export function createNodeListener(
  app: Hono,
  { trustedProxies = 0, isHalfDuplex = false, isStopping = () => false }: ListenerOptions = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  const trustedOf = (headers: IncomingHttpHeaders) =>
    typeof trustedProxies === 'number' ? trustedProxies : trustedProxies(headers);
  const clientOf = ({ headers, socket }: IncomingMessage) =>
    forwardedFor(headers['x-forwarded-for']?.toString(), trustedOf(headers)) ?? socket.remoteAddress;
  const unsent = new UnsentAnswers();
  const fetch = async (request: Request, env: HttpBindings) => {
    const { incoming, outgoing } = env;
    const { headers, socket } = incoming;
    const clientAddress = clientOf(incoming);
    const bindings: HttpBindings & ClientBindings & OriginBindings = {
      ...env,
      disconnect: () => void incoming.socket.destroy(),
      ...(clientAddress !== undefined && { clientAddress }),
      reached: requestOrigin({
        header: (name) => headers[name.toLowerCase()]?.toString(),
        httpVersion: incoming.httpVersion,
        isTls: 'encrypted' in socket,
        localAddress: socket.localAddress,
        localPort: socket.localPort,
        trustedProxies: trustedOf(headers),
      }),
    };
    const response = await app.fetch(request, bindings);
    // Node closes such a connection with its answer, so what still comes has to come before.
    if ((isHalfDuplex || !outgoing.shouldKeepAlive) && !(await takeRest(incoming)) && isHalfDuplex) outgoing.destroy();
    return response;
  };
  const listener = getRequestListener((request, env) => fetch(request, env as HttpBindings), {
    overrideGlobalObjects: false,
    autoCleanupIncoming: false, // it gives a body 500 ms to end
    hostname: UNNAMED_HOST,
  });
  return (request, response) => {
    if (isStopping()) response.shouldKeepAlive = false;
    lingerAfter(response, request);
    // Of the whole server, which has no URL. https://www.rfc-editor.org/rfc/rfc9110#section-9.3.7
    if (request.method === 'OPTIONS' && request.url === '*')
      return void response.writeHead(204, { Allow: allowHeader() }).end();
    void listener(request, response).then(() => unsent.add(response, networkOf(clientOf(request) ?? '')));
  };
}

export async function startNodeServer(
  app: Hono,
  { host, port, tls, ...listening }: ListenOptions,
): Promise<NodeServer> {
  let isStopping = false;
  const answer = createNodeListener(app, { ...listening, isStopping: () => isStopping });
  const options = {
    headersTimeout: HEADERS_MS,
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    noDelay: true,
  };
  const server = tls ? createTlsServer({ ...options, ...tls }, answer) : createServer(options, answer);
  server.setTimeout(IDLE_MS);
  const connections = new Set<Socket>();
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  await listen(server, host, port);
  const { address, port: actualPort, family } = server.address() as AddressInfo;
  return {
    url: new URL(`${tls ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${actualPort}`),
    stop: () =>
      new Promise((resolve) => {
        isStopping = true;
        // A connection whose request ends from now on would else be kept for the next one.
        const closing = setInterval(() => {
          server.closeIdleConnections();
          closeUnused(connections);
        }, CLOSE_IDLE_MS);
        server.close(() => {
          clearInterval(closing);
          resolve();
        });
      }),
    kill: () => server.closeAllConnections(),
  };
}

/** Go clients open connections in reserve, and to Node one on which nothing was ever said is not idle. */
function closeUnused(connections: Iterable<Socket>): void {
  for (const socket of connections) if (socket.bytesRead === 0) socket.destroy();
}

/** What the system says if it does not let us listen, and what to do then. */
const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is taken: choose another by --port or REGISTRY_PORT',
  EACCES: 'is for root alone: choose one from 1024 on by --port or REGISTRY_PORT',
  EADDRNOTAVAIL: 'is at no address of this machine: choose another by --host or REGISTRY_HOST',
};

/** macOS listens here itself since version 12. https://developer.apple.com/forums/thread/682332 */
const AIRPLAY_PORT = 5000;
const AIRPLAY_HINT =
  ' (such as 5001); on macOS it is usually AirPlay Receiver that has port 5000: System Settings, General, AirDrop & Handoff switches it off';

/** What to do about an error of `listen`; `undefined` if the system's own words have to do. */
export function listenProblem(
  code: string | undefined,
  { host, port, platform = process.platform }: { host: string; port: number; platform?: NodeJS.Platform },
): string | undefined {
  const problem = LISTEN_ERRORS[code ?? ''];
  if (problem === undefined) return undefined;
  const isAirPlay = code === 'EADDRINUSE' && platform === 'darwin' && port === AIRPLAY_PORT;
  return `port ${port} of ${host} ${problem}${isAirPlay ? AIRPLAY_HINT : ''}`;
}

/** @throws Error if the port or the address cannot be had */
function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      const problem = listenProblem(error.code, { host, port });
      reject(problem ? new Error(problem) : error);
    };
    server.once('error', fail);
    server.listen({ host, port }, () => {
      server.off('error', fail);
      resolve();
    });
  });
}

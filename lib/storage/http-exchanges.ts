// Small requests and responses, each written and read at once. They take half of the CPU time that they take by the client of Node.
//
// Only usual responses are understood. After any other the caller sends the request again by another client.
import type { LookupFunction, Socket } from 'node:net';
import { KiB } from '../streams/bytes.ts';
import { AnswerReader, type HttpAnswer } from './http-answer.ts';
import { openSocket } from './http-socket.ts';

/** Less than the time after which servers close idle connections: S3 after some 20 s. */
const KEPT_MILLISECONDS = 15_000;
const MAX_CONNECTIONS = 256;
/** How long a server may not take a connection. */
const CONNECT_MILLISECONDS = 5000;
/** How long a request waits for a connection. */
const WAIT_MILLISECONDS = 5000;

/** Of all connections: what has arrived is copied before the next bytes are read. */
const arrivals = Buffer.allocUnsafeSlow(64 * KiB);

export type ExchangeRequest = {
  method: 'GET' | 'HEAD' | 'PUT';
  /** Scheme, host and port. */
  origin: URL;
  /** Percent-encoded, with the query. */
  path: string;
  /** In ASCII. With a body, `content-length` is among them. */
  headers: Readonly<Record<string, string>>;
  body?: Uint8Array;
  /** How long the server may send nothing, in ms. */
  idleMs: number;
};

export type ExchangeOptions = {
  maxConnections?: number;
  waitMs?: number;
  /** Other than that of the system in tests only. */
  lookup?: LookupFunction;
};

/** Connections are used again, the one that was used last first. Further requests wait for one, in their order. */
export class HttpExchanges {
  readonly #options: ExchangeOptions;
  readonly #idle: Connection[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #sessions = new Map<string, Buffer>();
  #free: number;
  #isClosed = false;

  constructor(options: ExchangeOptions = {}) {
    this.#options = options;
    this.#free = options.maxConnections ?? MAX_CONNECTIONS;
  }

  /** @throws Error if there is no response that is understood. The server may have executed the request */
  async send(request: ExchangeRequest): Promise<HttpAnswer> {
    checkHead(request);
    if (this.#free > 0) this.#free--;
    else await this.#turn();
    try {
      const connection = this.#kept(request.origin.origin) ?? this.#open(request.origin);
      const answer = await connection.send(request);
      if (this.#isClosed) connection.destroy();
      if (connection.isUsable) this.#idle.push(connection);
      return answer;
    } finally {
      const [next] = this.#waiting;
      if (next) next();
      else this.#free++;
    }
  }

  /** Closes the connections that no request uses, and the others once their requests are answered. */
  close(): void {
    this.#isClosed = true;
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  #turn(): Promise<void> {
    return new Promise((resolve, reject) => {
      const start = () => {
        this.#waiting.delete(start);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(start);
        reject(new Error('no connection is free'));
      }, this.#options.waitMs ?? WAIT_MILLISECONDS);
      this.#waiting.add(start);
    });
  }

  #kept(origin: string): Connection | undefined {
    for (let kept = this.#idle.pop(); kept; kept = this.#idle.pop()) {
      if (kept.origin === origin && kept.isUsable && Date.now() < kept.usedAtMs + KEPT_MILLISECONDS) return kept;
      kept.destroy();
    }
    return undefined;
  }

  #open(url: URL): Connection {
    const connection = new Connection(url, this.#sessions, this.#options.lookup, () => {
      const at = this.#idle.indexOf(connection);
      if (at >= 0) this.#idle.splice(at, 1);
    });
    return connection;
  }
}

type Exchange = { reader: AnswerReader; resolve: (answer: HttpAnswer) => void; reject: (error: Error) => void };

class Connection {
  readonly origin: string;
  usedAtMs = 0;
  readonly #socket: Socket;
  readonly #onOver: () => void;
  #exchange: Exchange | undefined;
  #isOver = false;

  /**
   * @param sessions of TLS, by origin: later connections resume them
   * @param onOver is called once the connection takes no more requests
   */
  constructor(url: URL, sessions: Map<string, Buffer>, lookup: LookupFunction | undefined, onOver: () => void) {
    this.origin = url.origin;
    this.#onOver = onOver;
    this.#socket = openSocket(url, {
      buffer: () => arrivals,
      onBytes: (sizeBytes) => this.#take(arrivals.subarray(0, sizeBytes)),
      session: sessions.get(url.origin),
      lookup,
    });
    this.#socket.on('session', (session: Buffer) => sessions.set(url.origin, session));
    this.#socket.on('error', (error) => {
      sessions.delete(url.origin);
      this.#fail(error);
    });
    this.#socket.on('timeout', () => this.#fail(new Error('the server sends nothing')));
    for (const event of ['end', 'close']) {
      this.#socket.on(event, () => this.#fail(new Error('the server has closed the connection')));
    }
    this.#socket.resume(); // also to see that the server closes it
  }

  /** Whether it serves no request, and may serve another. */
  get isUsable(): boolean {
    return !this.#isOver && !this.#exchange;
  }

  destroy(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket.destroy();
    this.#onOver();
  }

  /** @throws Error as `HttpExchanges.send` */
  send({ method, path, headers, body, idleMs }: ExchangeRequest): Promise<HttpAnswer> {
    let head = `${method} ${path} HTTP/1.1\r\n`;
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    head += '\r\n';
    return new Promise((resolve, reject) => {
      this.#exchange = { reader: new AnswerReader(method === 'HEAD'), resolve, reject };
      this.#socket.setTimeout(this.#socket.connecting ? Math.min(idleMs, CONNECT_MILLISECONDS) : idleMs);
      if (this.#socket.connecting) this.#socket.once('connect', () => this.#socket.setTimeout(idleMs));
      this.#socket.ref();
      if (body) this.#socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body]));
      else this.#socket.write(head, 'latin1');
    });
  }

  #take(arrived: Buffer): void {
    const exchange = this.#exchange;
    if (!exchange) {
      this.destroy(); // bytes without a request
      return;
    }
    try {
      const answer = exchange.reader.add(arrived);
      if (!answer) return;
      this.#exchange = undefined;
      // Where the server answers before it has got the whole request, the rest of it would be taken for the next one.
      if (answer.isKeptOpen && this.#socket.writableLength === 0) this.#keep();
      else this.destroy();
      exchange.resolve(answer);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #keep(): void {
    this.usedAtMs = Date.now();
    this.#socket.setTimeout(KEPT_MILLISECONDS);
    this.#socket.unref();
  }

  #fail(error: Error): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.destroy();
    exchange?.reject(error);
  }
}

/** @throws Error for a head that would not be what the caller means: with line ends in it, or characters that are not in ASCII */
function checkHead({ path, headers }: ExchangeRequest): void {
  if (UNSAFE.test(path) || path.includes(' ')) throw new Error('the path is not percent-encoded');
  for (const name in headers)
    if (UNSAFE.test(headers[name] ?? '')) throw new Error(`the header ${name} is not in ASCII`);
}

const UNSAFE = /[^\t\x20-\x7e]/;

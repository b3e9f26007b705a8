// GET requests whose bodies arrive in buffers that are used again. Node's HTTP client allocates a new buffer for each 64 KiB, and
// takes three times the CPU time for 1 GiB.
//
// Only the usual response is understood: HTTP/1.1, a body of known length. For any other the caller sends the request again by
// another client.
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { BUFFER_BYTES, Buffers } from '../streams/buffer-pool.ts';
import { type ByteSource, closedError, type LentBytes } from '../streams/byte-source.ts';
import { KiB } from '../streams/bytes.ts';

const MAX_HEAD_BYTES = 16 * KiB;
const HEAD_END = '\r\n\r\n';
/** How long a server may take to send the headers. */
const HEAD_TIMEOUT_MILLISECONDS = 5000;
const IDLE_MILLISECONDS = 60_000;
/** Less than the time after which servers close idle connections: S3 after some 20 s. */
const KEPT_MILLISECONDS = 5000;
/** One is being filled, the others are on their way to the client. */
const BUFFERS = 3;
/** With less room the next bytes go to another buffer, so that system calls stay few. */
const MIN_ROOM_BYTES = BUFFER_BYTES / 2;

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

export type DownloadRequest = {
  /** Scheme, host and port. */
  origin: URL;
  /** Percent-encoded, with the query. */
  path: string;
  headers: Readonly<Record<string, string>>;
};

export type DownloadOptions = {
  /** How long the server may be silent in the middle of the body. Other than 60 s in tests only. */
  idleMilliseconds?: number;
  signal?: AbortSignal | undefined;
  /** Makes the error that the reader of the body gets. */
  asError: (error: unknown) => unknown;
};

export type Download = { status: number; headers: Readonly<Record<string, string>>; body: ByteSource };

/** Connections are used again. Their number is unlimited: the caller limits its downloads. */
export class HttpDownloads {
  readonly #idle = new Set<Connection>();

  /**
   * Sends a GET.
   * @returns `undefined` if there is no response with a status of 200 or 206 and a body of known length, and after an abort
   */
  async get(request: DownloadRequest, options: DownloadOptions): Promise<Download | undefined> {
    if (options.signal?.aborted) return undefined;
    const { origin } = request.origin;
    const kept = [...this.#idle].findLast((idle) => idle.origin === origin);
    if (kept) this.#idle.delete(kept);
    const connection = kept ?? new Connection(request.origin, () => this.#idle.delete(connection));
    return await connection.get(request, { ...options, onEnd: () => this.#idle.add(connection) });
  }

  close(): void {
    for (const connection of this.#idle) connection.destroy();
  }
}

type Head = { status: number; headers: Record<string, string>; sizeBytes: number };

/** Takes what has arrived last: so many bytes, at the beginning of what `target` has returned. */
type OnBytes = (sizeBytes: number) => void;

class Connection {
  readonly origin: string;
  readonly #socket: Socket;
  readonly #head = Buffer.allocUnsafeSlow(MAX_HEAD_BYTES);
  /** Where the bytes go that arrive next. */
  #target: () => Buffer = () => this.#head;
  #onBytes: OnBytes = () => this.destroy(); // bytes without a request
  #onFailure: (error: Error) => void = () => undefined;
  /** `closed` of the socket is true before its handle is closed. */
  #isClosed = false;

  constructor(url: URL, onClose: () => void) {
    this.origin = url.origin;
    const onread = {
      buffer: () => this.#target(),
      callback: (sizeBytes: number) => {
        this.#onBytes(sizeBytes);
        return true;
      },
    };
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const to = { host, port: Number(url.port || DEFAULT_PORTS[url.protocol]), onread };
    this.#socket =
      url.protocol === 'https:' ? connectTls({ ...to, ...(isIP(host) === 0 && { servername: host }) }) : connect(to);
    this.#socket.setNoDelay();
    this.#socket.on('error', (error) => this.#onFailure(error));
    this.#socket.on('close', () => {
      this.#isClosed = true;
      onClose();
      this.#onFailure(new Error('the server has closed the connection'));
    });
    this.#socket.on('timeout', () => this.destroy());
  }

  /** TLS goes on handing out what it has decrypted, for ever if there is no room for it. The head has room. */
  destroy(): void {
    this.#target = () => this.#head;
    this.#socket.destroy();
  }

  async get(
    request: DownloadRequest,
    { signal, onEnd, ...options }: DownloadOptions & { onEnd: () => void },
  ): Promise<Download | undefined> {
    const onAbort = () => this.destroy();
    signal?.addEventListener('abort', onAbort, { once: true });
    const end = (isWhole: boolean, onUnused = () => {}) => {
      signal?.removeEventListener('abort', onAbort);
      if (isWhole) {
        this.#keep(onEnd);
        onUnused();
      } else {
        this.destroy();
        if (this.#isClosed) onUnused();
        else this.#socket.once('close', onUnused);
      }
    };
    try {
      return await this.#exchange(request, { ...options, end });
    } catch {
      end(false);
      return undefined;
    }
  }

  #keep(onEnd: () => void): void {
    this.#target = () => this.#head;
    this.#onBytes = () => this.destroy();
    this.#onFailure = () => undefined;
    this.#socket.setTimeout(KEPT_MILLISECONDS);
    this.#socket.unref();
    this.#socket.resume(); // to see that the server closes it
    onEnd();
  }

  #exchange(
    { path, headers }: DownloadRequest,
    { end, ...options }: DownloadOptions & Pick<BodyConnection, 'end'>,
  ): Promise<Download> {
    return new Promise((resolve, reject) => {
      let arrivedBytes = 0;
      this.#target = () => this.#head.subarray(arrivedBytes);
      this.#onFailure = reject;
      this.#onBytes = (sizeBytes) => {
        arrivedBytes += sizeBytes;
        const endOfHead = this.#head.subarray(0, arrivedBytes).indexOf(HEAD_END);
        const head = endOfHead < 0 ? undefined : parseHead(this.#head.toString('latin1', 0, endOfHead));
        if (head) {
          // At once, so that the bytes which follow go to the buffers of the body.
          const rest = this.#head.subarray(endOfHead + HEAD_END.length, arrivedBytes);
          const isKept = head.headers.connection?.toLowerCase() !== 'close';
          const connection = this.#forBody((isWhole, onUnused) => end(isWhole && isKept, onUnused));
          this.#socket.setTimeout(0);
          resolve({ ...head, body: new DownloadBody({ sizeBytes: head.sizeBytes, rest, ...options }, connection) });
        } else if (endOfHead >= 0 || arrivedBytes === MAX_HEAD_BYTES) {
          reject(new Error('this response is not understood'));
          this.destroy();
        }
      };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      this.#socket.setTimeout(HEAD_TIMEOUT_MILLISECONDS);
      this.#socket.ref();
      this.#socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1');
      this.#socket.resume();
    });
  }

  #forBody(end: BodyConnection['end']): BodyConnection {
    return {
      pause: () => this.#socket.pause(),
      resume: () => this.#socket.resume(),
      redirect: (target, onBytes, onFailure) => {
        this.#target = target;
        this.#onBytes = onBytes;
        this.#onFailure = onFailure;
      },
      end,
    };
  }
}

/** `undefined` for a response that this module does not understand. */
function parseHead(text: string): Head | undefined {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const status = Number(/^HTTP\/1\.1 (200|206)(?: |$)/.exec(statusLine)?.[1]);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) return undefined;
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value;
  }
  const length = headers['content-length'] ?? '';
  if (!status || !/^\d{1,15}$/.test(length) || 'transfer-encoding' in headers || 'content-encoding' in headers) {
    return undefined;
  }
  return { status, headers, sizeBytes: Number(length) };
}

/** What a body does with its connection. */
type BodyConnection = {
  pause(): void;
  resume(): void;
  redirect(target: () => Buffer, onBytes: OnBytes, onFailure: (error: Error) => void): void;
  /**
   * @param isWhole whether the connection may serve another request
   * @param onUnused is called once the connection no longer writes to what `target` has returned
   */
  end(isWhole: boolean, onUnused: () => void): void;
};

/** A buffer that fills up. What has arrived is lent in slices. */
class Filling {
  readonly #buffer: Buffer;
  readonly #give: () => void;
  #arrivedBytes = 0;
  #takenBytes = 0;
  #lent = 0;
  #isRetired = false;

  constructor(buffers: Buffers) {
    const buffer = buffers.takeNow();
    this.#buffer = buffer;
    this.#give = () => buffers.give(buffer);
  }

  /** Where the next bytes go. */
  get room(): Buffer {
    return this.#buffer.subarray(this.#arrivedBytes);
  }

  add(sizeBytes: number): void {
    this.#arrivedBytes += sizeBytes;
  }

  /** All that has arrived and is not lent. */
  take(): LentBytes | undefined {
    if (this.#takenBytes === this.#arrivedBytes) return undefined;
    const bytes = this.#buffer.subarray(this.#takenBytes, this.#arrivedBytes);
    this.#takenBytes = this.#arrivedBytes;
    this.#lent++;
    const release = () => {
      this.#lent--;
      if (this.#isRetired && this.#lent === 0) this.#give();
    };
    return { bytes, release };
  }

  /** Nothing more will arrive in this buffer. */
  retire(): void {
    this.#isRetired = true;
    if (this.#lent === 0) this.#give();
  }
}

/** The body of one response. Reading pauses when all buffers but the one that is being filled are lent, or wait to be. */
class DownloadBody implements ByteSource {
  readonly #connection: BodyConnection;
  readonly #asError: (error: unknown) => unknown;
  readonly #buffers = new Buffers(BUFFERS);
  /** Slices of buffers that are full. */
  readonly #full: LentBytes[] = [];
  readonly #limit: NodeJS.Timeout;
  #filling: Filling;
  #missingBytes: number;
  #isPaused = true;
  #isOver = false;
  #failure: { error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(
    {
      sizeBytes,
      rest,
      idleMilliseconds = IDLE_MILLISECONDS,
      asError,
    }: { sizeBytes: number; rest: Buffer } & DownloadOptions,
    connection: BodyConnection,
  ) {
    this.#connection = connection;
    this.#asError = asError;
    this.#missingBytes = sizeBytes;
    this.#filling = new Filling(this.#buffers);
    this.#limit = setTimeout(() => this.#onSilence(), idleMilliseconds).unref();
    connection.redirect(
      () => this.#filling.room,
      (arrivedBytes) => this.#onBytes(arrivedBytes),
      (error) => this.#fail(error),
    );
    connection.pause();
    rest.copy(this.#filling.room);
    if (rest.length > 0 || sizeBytes === 0) this.#onBytes(rest.length);
  }

  async next(): Promise<LentBytes | undefined> {
    for (;;) {
      const lent = this.#full.shift() ?? this.#takeFilling();
      if (lent) return { bytes: lent.bytes, release: () => this.#release(lent) };
      if (this.#failure) throw this.#failure.error;
      if (this.#isOver) return undefined;
      this.#resume();
      this.#limit.refresh();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  async close(): Promise<void> {
    this.#fail(closedError());
    this.#failure ??= { error: closedError() };
    for (const { release } of this.#full.splice(0)) release();
  }

  #takeFilling(): LentBytes | undefined {
    return this.#isOver ? undefined : this.#filling.take();
  }

  #release({ release }: LentBytes): void {
    release();
    this.#resume();
  }

  #onBytes(arrivedBytes: number): void {
    if (this.#isOver) return;
    this.#missingBytes -= arrivedBytes;
    if (this.#missingBytes < 0) {
      this.#fail(new Error('the server sends more than it announced'));
      return;
    }
    this.#filling.add(arrivedBytes);
    this.#limit.refresh();
    if (this.#missingBytes === 0) this.#end(true);
    else if (this.#filling.room.length < MIN_ROOM_BYTES) this.#refill();
    this.#wake?.();
  }

  #refill(): void {
    this.#takeRest();
    this.#filling.retire();
    this.#filling = new Filling(this.#buffers);
    if (this.#buffers.hasFree) return;
    this.#isPaused = true;
    this.#connection.pause();
  }

  #takeRest(): void {
    const rest = this.#filling.take();
    if (rest) this.#full.push(rest);
  }

  #resume(): void {
    if (!this.#isPaused || this.#isOver || !this.#buffers.hasFree) return;
    this.#isPaused = false;
    this.#connection.resume();
  }

  /** A reader may pause for any time; only a server that is waited for counts as silent. */
  #onSilence(): void {
    if (this.#wake) this.#fail(Object.assign(new Error('the server is silent'), { name: 'TimeoutError' }));
    else this.#limit.refresh();
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#failure = { error: this.#asError(error) };
    this.#end(false);
    this.#wake?.();
  }

  /** @param isWhole whether all bytes have arrived */
  #end(isWhole: boolean): void {
    this.#isOver = true;
    clearTimeout(this.#limit);
    this.#takeRest();
    this.#connection.end(isWhole, () => this.#filling.retire());
  }
}

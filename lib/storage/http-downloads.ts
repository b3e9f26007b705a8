// GET requests whose bodies arrive in buffers that are used again. Node's HTTP client allocates a new buffer for each 64 KiB, and
// takes three times the CPU time for 1 GiB.
//
// Only the usual response is understood: HTTP/1.1, a body of known length. For any other the caller sends the request again by
// another client.
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ByteSource } from '../streams/byte-source.ts';
import { KiB } from '../streams/bytes.ts';
import { type BodyConnection, type BodyOptions, DownloadBody, type OnBytes } from './download-body.ts';

const MAX_HEAD_BYTES = 16 * KiB;
const HEAD_END = '\r\n\r\n';
/** How long a server may take to send the headers. */
const HEAD_TIMEOUT_MILLISECONDS = 5000;
/** Less than the time after which servers close idle connections: S3 after some 20 s. */
const KEPT_MILLISECONDS = 5000;

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

export type DownloadRequest = {
  /** Scheme, host and port. */
  origin: URL;
  /** Percent-encoded, with the query. */
  path: string;
  headers: Readonly<Record<string, string>>;
};

export type DownloadOptions = BodyOptions & { signal?: AbortSignal | undefined };

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

// GET requests whose bodies arrive in buffers that are used again. Node's HTTP client allocates a new buffer for each 64 KiB, and
// takes three times the CPU time for 1 GiB.
//
// Only the usual response is understood: HTTP/1.1, a body of known length. For any other the caller sends the request again by
// another client.
import type { Socket } from 'node:net';
import type { ByteSource } from '../streams/byte-source.ts';
import { type BodyConnection, type BodyOptions, DownloadBody, type OnBytes } from './download-body.ts';
import { contentLengthOf, HEAD_END, type Head, isKeptOpen, MAX_HEAD_BYTES, parseHead } from './http-head.ts';
import { openSocket } from './http-socket.ts';

/** How long a server may take to send the headers. */
const HEAD_TIMEOUT_MILLISECONDS = 5000;
/** Less than the time after which servers close idle connections: S3 after some 20 s. */
const KEPT_MILLISECONDS = 5000;

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

type DownloadHead = Head & { sizeBytes: number };

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
    this.#socket = openSocket(url, {
      buffer: () => this.#target(),
      onBytes: (sizeBytes) => this.#onBytes(sizeBytes),
    });
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
        const head = endOfHead < 0 ? undefined : parseDownloadHead(this.#head.toString('latin1', 0, endOfHead));
        if (head) {
          // At once, so that the bytes which follow go to the buffers of the body.
          const rest = this.#head.subarray(endOfHead + HEAD_END.length, arrivedBytes);
          const isKept = isKeptOpen(head);
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
function parseDownloadHead(text: string): DownloadHead | undefined {
  const head = parseHead(text);
  const sizeBytes = head && contentLengthOf(head);
  if (sizeBytes === undefined || (head?.status !== 200 && head?.status !== 206)) return undefined;
  return 'transfer-encoding' in head.headers || 'content-encoding' in head.headers ? undefined : { ...head, sizeBytes };
}

// HTTP as it is on the wire: what is sent is exactly what the test wrote, right or wrong.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export type RawRequest = {
  method: string;
  /** As on the request line; one byte for each character. */
  target: string;
  headers: readonly (readonly [name: string, value: string])[];
  body: Uint8Array;
  /** How the body is announced, truthfully or not. */
  framing: Framing;
};

export const FRAMINGS = ['none', 'length', 'chunked', 'too short', 'broken chunks', 'length and chunked'] as const;
export type Framing = (typeof FRAMINGS)[number];

export type RawAnswer = { status: number; headers: ReadonlyMap<string, string>; body: Buffer };

/** How long an answer may take; generous, as the machine may be busy with other things. */
const ANSWER_MS = 30_000;
const HEAD_END = Buffer.from('\r\n\r\n');

export function encodeRequest(request: RawRequest): Buffer {
  const { method, target, headers, body, framing } = request;
  const lines = [
    `${method} ${target} HTTP/1.1`,
    'Host: registry.test',
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  const pieces: Uint8Array[] = [];
  const chunks = () => pieces.push(Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n'));
  switch (framing) {
    case 'length':
      lines.push(`Content-Length: ${body.length}`);
      pieces.push(body);
      break;
    case 'too short':
      lines.push(`Content-Length: ${body.length + 10}`);
      pieces.push(body);
      break;
    case 'chunked':
      lines.push('Transfer-Encoding: chunked');
      if (body.length > 0) chunks();
      else pieces.push(Buffer.from('0\r\n\r\n'));
      break;
    case 'broken chunks':
      lines.push('Transfer-Encoding: chunked');
      pieces.push(Buffer.from(`${(body.length + 5).toString(16)}\r\n`), body, Buffer.from('\r\nzz\r\n'));
      break;
    case 'length and chunked':
      lines.push(`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked');
      chunks();
      break;
    case 'none':
      break;
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), ...pieces]);
}

/** One connection that is kept for as long as the server keeps it. */
export class RawConnection {
  readonly #port: number;
  #socket: Socket | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /**
   * Sends these bytes, and says that no more will come if they do not make a whole request.
   * @returns `undefined` if the server closed the connection without an answer
   */
  async exchange(bytes: Uint8Array, options: { isHead: boolean; isWhole: boolean }): Promise<RawAnswer | undefined> {
    const socket = await this.#open();
    const reading = readAnswer(socket, options.isHead);
    socket.write(bytes);
    if (!options.isWhole) socket.end();
    let isReusable = false;
    try {
      const answer = await reading;
      isReusable = options.isWhole && !isUpgrade(bytes) && answer?.headers.get('connection') === 'keep-alive';
      return answer;
    } finally {
      if (!isReusable) this.close();
    }
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #open(): Promise<Socket> {
    if (this.#socket && !this.#socket.destroyed && this.#socket.readable) return this.#socket;
    const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true });
    socket.on('error', () => undefined); // 'close' follows
    await once(socket, 'connect');
    this.#socket = socket;
    return socket;
  }
}

/** Node 24 answers such a request as any other, but on the same connection gives none to a later head that is too large. */
function isUpgrade(request: Uint8Array): boolean {
  return /^Upgrade:/im.test(Buffer.from(request).toString('latin1'));
}

async function readAnswer(socket: Socket, isHead: boolean): Promise<RawAnswer | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer | undefined>();
  let received = Buffer.alloc(0);
  const timer = setTimeout(() => reject(new Error(`no answer in ${ANSWER_MS} ms`)), ANSWER_MS);
  const onData = (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    const answer = parseAnswer(received, isHead, false);
    if (answer) resolve(answer);
  };
  const onClose = () => resolve(parseAnswer(received, isHead, true));
  socket.on('data', onData).once('close', onClose).once('end', onClose);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.off('data', onData).off('close', onClose).off('end', onClose);
  }
}

/** The answer, once it is there to its end; informational ones are passed over. */
function parseAnswer(received: Buffer, isHead: boolean, hasEnded: boolean): RawAnswer | undefined {
  const headEnd = received.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const [statusLine = '', ...lines] = received.subarray(0, headEnd).toString('latin1').split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]);
  const rest = received.subarray(headEnd + HEAD_END.length);
  if (status < 200) return parseAnswer(rest, isHead, hasEnded);
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  if (isHead || status === 204 || status === 304) return { status, headers, body: Buffer.alloc(0) };
  const length = headers.get('content-length');
  if (length !== undefined) {
    return rest.length >= Number(length) ? { status, headers, body: rest.subarray(0, Number(length)) } : undefined;
  }
  if (headers.get('transfer-encoding') !== 'chunked') return hasEnded ? { status, headers, body: rest } : undefined;
  const body = joinChunks(rest);
  return body && { status, headers, body };
}

/** `undefined` until the last chunk is there. */
function joinChunks(received: Buffer): Buffer | undefined {
  const chunks: Buffer[] = [];
  for (let position = 0; ; ) {
    const lineEnd = received.indexOf('\r\n', position);
    if (lineEnd < 0) return undefined;
    const sizeBytes = Number.parseInt(received.toString('latin1', position, lineEnd), 16);
    const start = lineEnd + 2;
    if (received.length < start + sizeBytes + 2) return undefined;
    if (sizeBytes === 0) return Buffer.concat(chunks);
    chunks.push(received.subarray(start, start + sizeBytes));
    position = start + sizeBytes + 2;
  }
}

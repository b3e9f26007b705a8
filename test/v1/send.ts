// Sends a request exactly as the test writes it: `fetch` would normalise paths, join header lines and follow redirects.
import assert from 'node:assert/strict';
import { request } from 'node:http';

export type Sent = {
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Sends the body chunked, without Content-Length. */
  isChunked?: boolean;
  /** Storage is made to fail: the answer may be a 5xx. */
  mayFail?: boolean;
};

export type Answer = {
  status: number;
  /** The first line of a header. */
  header(name: string): string | undefined;
  /** All lines of a header. */
  lines(name: string): string[];
  bytes: Buffer;
  text: string;
  json(): unknown;
};

/** Sends a request on a connection of its own, as old Docker versions do, and checks what every answer must have. */
export async function send(origin: URL, method: string, path: string, sent: Sent = {}): Promise<Answer> {
  const answer = await exchange(origin, method, path, sent);
  checkAlways(method, path, answer, sent.mayFail ?? false);
  return answer;
}

function exchange(origin: URL, method: string, path: string, sent: Sent): Promise<Answer> {
  const { headers = {}, body, isChunked = false } = sent;
  return new Promise((resolve, reject) => {
    const { hostname, port } = origin;
    const outgoing = request({ hostname, port, method, path, headers: { ...headers, ...framing(sent) }, agent: false });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const lines = (name: string) => incoming.headersDistinct[name.toLowerCase()] ?? [];
        resolve({
          status: incoming.statusCode ?? 0,
          header: (name) => lines(name)[0],
          lines,
          bytes,
          text: bytes.toString(),
          json: () => JSON.parse(bytes.toString()),
        });
      });
    });
    if (isChunked && body !== undefined) outgoing.write(body);
    outgoing.end(isChunked ? undefined : body);
  });
}

/** Sets the header that tells where the body ends; Node does not for every method. */
function framing({ body, isChunked }: Sent): Record<string, string> {
  if (isChunked) return { 'Transfer-Encoding': 'chunked' };
  return body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
}

/** What holds for every answer: no cookie, and errors in the form that Docker reads. */
function checkAlways(method: string, path: string, answer: Answer, mayFail: boolean): void {
  const what = `${answer.status} of ${method} ${path}: ${answer.text.slice(0, 200)}`;
  assert.ok(mayFail || answer.status < 500, what);
  assert.deepEqual(answer.lines('Set-Cookie'), [], `no cookies; ${what}`);
  if (method !== 'GET' && method !== 'HEAD') assert.ok(answer.status < 300 || answer.status >= 400, what);
  if (answer.status >= 400 && answer.bytes.length > 0 && !path.startsWith('/v2')) checkErrorBody(answer, what);
}

/** Docker decodes errors as an object of strings. For another form it prints a JSON error instead of the message. */
function checkErrorBody(answer: Answer, what: string): void {
  assert.match(answer.header('Content-Type') ?? '', /^application\/json\b/, what);
  const body = answer.json();
  assert.ok(typeof body === 'object' && body !== null && 'error' in body, what);
  assert.ok(
    Object.values(body).every((value) => typeof value === 'string'),
    what,
  );
}

/** Asserts status and message of an error. */
export function assertError(answer: Answer, status: number, message: string): void {
  assert.deepEqual([answer.status, answer.json()], [status, { error: message }]);
}

export function assertUnauthorized(answer: Answer): void {
  assertError(answer, 401, 'Requires authorization');
  assert.deepEqual(answer.lines('WWW-Authenticate'), ['Token']);
}

// `Headers`, `Request` and `Response` instead of those of Node, for processes whose answers no other program sees: the bundle of the
// request handler (functions/build.ts) and `stowage serve`. Node's are undici's: loading it takes longer than all else that the first
// answer on Lambda needs, and its classes take as much time for an answer as the routes. These have what hono and the registry use, and
// behave there as Node's do: test/http/fetch-classes.test.ts compares both.
// https://fetch.spec.whatwg.org/

type Body = string | Uint8Array<ArrayBuffer> | ArrayBuffer | ReadableStream<Uint8Array> | null;
type HeadersInput = Iterable<readonly [string, string]> | Record<string, string>;

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const WHITESPACE = '\t\n\r ';
const COOKIE = 'set-cookie';
const TEXT = 'text/plain;charset=UTF-8';

export class Headers {
  /** By name in lower case. Only cookies have more than one value. */
  readonly #values: Map<string, string | string[]>;

  constructor(headers: HeadersInput = {}) {
    if (#values in headers) {
      this.#values = new Map(headers.#values);
      return;
    }
    this.#values = new Map();
    const entries = Symbol.iterator in headers ? headers : Object.entries(headers);
    for (const [name, value] of entries) this.append(name, value);
  }

  get(name: string): string | null {
    const value = this.#values.get(keyOf(name)) ?? null;
    return Array.isArray(value) ? value.join(', ') : value;
  }

  has(name: string): boolean {
    return this.#values.has(keyOf(name));
  }

  set(name: string, value: string): void {
    const key = keyOf(name);
    this.#values.set(key, key === COOKIE ? [checked(value)] : checked(value));
  }

  append(name: string, value: string): void {
    const key = keyOf(name);
    const before = this.#values.get(key) ?? (key === COOKIE ? [] : undefined);
    const added = checked(value);
    const separator = key === 'cookie' ? '; ' : ', ';
    this.#values.set(
      key,
      before === undefined ? added : Array.isArray(before) ? [...before, added] : before + separator + added,
    );
  }

  delete(name: string): void {
    this.#values.delete(keyOf(name));
  }

  getSetCookie(): string[] {
    return [this.#values.get(COOKIE) ?? []].flat();
  }

  forEach(use: (value: string, name: string, headers: Headers) => void): void {
    for (const [name, value] of this) use(value, name, this);
  }

  /** Names and values in turn, as `ServerResponse.writeHead` takes them, in the order in which they were set. */
  toList(): string[] {
    const list: string[] = [];
    for (const [name, value] of this.#values) {
      if (!Array.isArray(value)) list.push(name, value);
      else for (const cookie of value) list.push(name, cookie);
    }
    return list;
  }

  /** In order of names. */
  *entries(): Generator<[string, string], undefined> {
    for (const name of [...this.#values.keys()].sort()) {
      for (const value of [this.#values.get(name) ?? []].flat()) yield [name, value];
    }
  }

  *keys(): Generator<string, undefined> {
    for (const [name] of this) yield name;
  }

  *values(): Generator<string, undefined> {
    for (const [, value] of this) yield value;
  }

  [Symbol.iterator](): Generator<[string, string], undefined> {
    return this.entries();
  }
}

/** @throws TypeError, as for a value */
function keyOf(name: string): string {
  if (!NAME.test(name)) throw new TypeError(`${JSON.stringify(name)} is not the name of a header`);
  return name.toLowerCase();
}

/** @throws TypeError for a value that would end the header, or that has characters beyond Latin-1 */
function checked(value: string): string {
  const text = trimmed(String(value));
  if (/[\0\n\r]|[^\0-\xff]/.test(text))
    throw new TypeError('the value of a header has a character that it cannot have');
  return text;
}

/** Not by a pattern: for whitespace within the value, its time would grow with the square of the length. */
function trimmed(value: string): string {
  let [start, end] = [0, value.length];
  while (start < end && WHITESPACE.includes(value.charAt(start))) start++;
  while (start < end && WHITESPACE.includes(value.charAt(end - 1))) end--;
  return value.slice(start, end);
}

class Content {
  readonly headers: Headers;
  readonly #source: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;
  #stream: ReadableStream<Uint8Array> | undefined;
  #isUsed = false;

  constructor(body: Body, headers: HeadersInput) {
    this.headers = new Headers(headers);
    const isText = typeof body === 'string' || body instanceof String; // of which hono's HTML is an object
    if (isText && !this.headers.has('content-type')) this.headers.set('content-type', TEXT);
    this.#source = isText ? Buffer.from(String(body)) : body instanceof ArrayBuffer ? new Uint8Array(body) : body;
  }

  /** The whole body, `null` if there is none; `undefined` for a stream, and once the body is read or `body` was used. */
  get wholeBody(): Uint8Array<ArrayBuffer> | null | undefined {
    if (this.#isUsed || this.#stream || this.#source instanceof ReadableStream) return undefined;
    return this.#source;
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (!(this.#source instanceof Uint8Array)) return this.#source;
    const bytes = this.#source;
    this.#stream ??= new ReadableStream({
      pull: (controller) => {
        if (bytes.length > 0) controller.enqueue(bytes);
        controller.close();
      },
    });
    return this.#stream;
  }

  get bodyUsed(): boolean {
    return this.#isUsed;
  }

  /** @throws TypeError if the body has been read before */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    const source = this.#stream ?? this.#source ?? new Uint8Array();
    const isBytes = source instanceof Uint8Array;
    if (this.#isUsed || (!isBytes && source.locked)) throw new TypeError('the body has been read');
    this.#isUsed = true;
    return isBytes ? source : Buffer.concat(await Array.fromAsync(source));
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const { buffer, byteOffset, byteLength } = await this.bytes();
    return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
  }

  async text(): Promise<string> {
    const bytes = await this.bytes();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
      .toString()
      .replace(/^\uFEFF/, '');
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }
}

export class Request extends Content {
  readonly url: string;
  readonly method: string;
  #signal: AbortSignal | undefined;

  constructor(
    url: string,
    { method = 'GET', headers = {}, body = null }: { method?: string; headers?: HeadersInput; body?: Body } = {},
  ) {
    super(body, headers);
    this.url = new URL(url).href;
    this.method = method.toUpperCase();
  }

  /** A client that goes away does not end an invocation, so nothing aborts it. */
  get signal(): AbortSignal {
    this.#signal ??= new AbortController().signal;
    return this.#signal;
  }
}

export class Response extends Content {
  readonly status: number;
  readonly statusText: string;

  constructor(
    body: Body = null,
    {
      status = 200,
      statusText = '',
      headers = {},
    }: { status?: number; statusText?: string; headers?: HeadersInput } = {},
  ) {
    super(body, headers);
    this.status = status;
    this.statusText = statusText;
  }

  static json(value: unknown, init: { status?: number; headers?: HeadersInput } = {}): Response {
    const headers = new Headers(init.headers);
    if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    return new Response(JSON.stringify(value), { ...init, headers });
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }
}

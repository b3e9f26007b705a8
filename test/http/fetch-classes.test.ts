// The classes of the request handler's bundle and of `stowage serve` behave as Node's, in what hono and the registry use.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as own from '../../lib/http/fetch-classes.ts';

type Classes = { Headers: typeof Headers; Request: typeof Request; Response: typeof Response };

const node: Classes = { Headers, Request, Response };
const ours = own as unknown as Classes;

const bytes = new Uint8Array([0, 1, 255]);
const streamOf = (...chunks: string[]) => ReadableStream.from(chunks.map((chunk) => Buffer.from(chunk)));
const textOf = async (body: ReadableStream<Uint8Array> | null) =>
  body && Buffer.concat(await Array.fromAsync(body)).toString('latin1');
const failureOf = (run: () => unknown) => {
  try {
    run();
    return 'none';
  } catch (error) {
    return (error as Error).name;
  }
};

/** Each gives a value that is the same with the classes of Node and with ours. */
const uses: Record<string, (classes: Classes) => unknown> = {
  'headers by any case, in order of names': ({ Headers }) => {
    const headers = new Headers({ 'X-B': 'b', 'content-type': 'text/plain' });
    headers.append('x-a', '1');
    headers.append('X-A', ' 2\t');
    headers.set('X-b', 'c');
    headers.delete('Content-TYPE');
    return [[...headers], headers.get('X-a'), headers.has('x-B'), headers.get('content-type'), [...headers.keys()]];
  },
  'headers copied, visited and listed': ({ Headers }) => {
    const copy = new Headers(new Headers([['A', '1']]));
    const seen: string[] = [];
    copy.forEach((value, name) => void seen.push(`${name}=${value}`));
    return [seen, [...copy.entries()], [...copy.values()], Object.fromEntries(copy)];
  },
  'several cookies': ({ Headers }) => {
    const headers = new Headers([['Set-Cookie', 'a=1']]);
    headers.append('set-cookie', 'b=2');
    return [headers.getSetCookie(), [...headers], headers.get('set-cookie')];
  },
  'request headers in several lines': ({ Headers }) => {
    const headers = new Headers([
      ['Cookie', 'a=1'],
      ['Accept', 'text/html'],
    ]);
    headers.append('cookie', 'b=2');
    headers.append('accept', '*/*');
    return [...headers];
  },
  'headers of another class that counts as theirs': ({ Headers }) => {
    class Lazy {
      *[Symbol.iterator]() {
        yield ['a', 'b'] as [string, string];
      }
    }
    Object.setPrototypeOf(Lazy.prototype, Headers.prototype);
    return [...new Headers(new Lazy() as unknown as Headers)];
  },
  // A pattern that looks for whitespace at the end would take 10¹² steps.
  'a value with a megabyte of spaces in it': ({ Headers }) =>
    new Headers({ a: ` b${' '.repeat(1024 * 1024)}c ` }).get('a')?.length,
  'headers that no client could be sent': ({ Headers }) => [
    failureOf(() => new Headers({ a: 'b\r\nc: d' })),
    failureOf(() => new Headers({ a: 'b\0' })),
    failureOf(() => new Headers({ a: '✓' })),
    failureOf(() => new Headers({ a: 'é' })),
    failureOf(() => new Headers({ 'a b': '' })),
    failureOf(() => new Headers({ '': '' })),
  ],
  'a response of HTML': async ({ Response }) => {
    const response = new Response(new String('<p>é') as string, { headers: { 'Content-Type': 'text/html' } });
    return [[...response.headers], await response.text()];
  },
  'a response without a body': async ({ Response }) => {
    const response = new Response(null, { status: 204, headers: { A: 'b' } });
    const { status, statusText, ok, body, bodyUsed } = response;
    return [status, statusText, ok, body, bodyUsed, [...response.headers], await response.text()];
  },
  'a response of bytes, text, a buffer or a stream': async ({ Response }) => {
    const all = [new Response(bytes), new Response('é'), new Response(bytes.buffer), new Response(streamOf('a', 'b'))];
    return await Promise.all(
      all.map(async (response) => [[...response.headers], Buffer.from(await response.arrayBuffer()).toString('hex')]),
    );
  },
  'a response that is read by its stream': async ({ Response }) => [
    await textOf(new Response(bytes).body),
    await textOf(new Response('abc').body),
    await textOf(new Response('').body),
    await textOf(new Response(streamOf('a', 'b')).body),
  ],
  'a response of another one': async ({ Response }) => {
    const first = new Response('abc', { status: 404, headers: { 'X-A': 'b' } });
    const second = new Response(first.body, first);
    second.headers.set('x-a', 'c');
    return [second.status, [...second.headers], first.headers.get('x-a'), await second.text()];
  },
  'a response of JSON': async ({ Response }) => {
    const json = Response.json({ a: 'é' }, { status: 400, headers: { B: 'c' } });
    const typed = Response.json([], { headers: { 'Content-Type': 'application/x' } });
    return [json.status, [...json.headers], await json.json(), [...typed.headers]];
  },
  'a body that is read twice': async ({ Response }) => {
    const response = new Response('abc');
    await response.text();
    const again = await response.text().then(
      () => 'none',
      (error: Error) => error.name,
    );
    return [response.bodyUsed, again];
  },
  'text with a byte order mark': async ({ Response }) => await new Response('\uFEFFa').text(),
  'a request without a body': async ({ Request }) => {
    const request = new Request('https://a.example/v2/a%2fb/../c?x=%20+', { headers: { Accept: '*/*' } });
    const { url, method, body, bodyUsed, signal } = request;
    return [url, method, body, bodyUsed, signal.aborted, signal === request.signal, [...request.headers]];
  },
  'a request with a body': async ({ Request }) => {
    const sent = () => new Request('https://a.example/', { method: 'put', body: bytes, headers: { A: 'b' } });
    return [sent().method, [...sent().headers], await textOf(sent().body), [...(await sent().bytes())]];
  },
  'a request without a URL': ({ Request }) => failureOf(() => new Request('nowhere')),
};

describe('the classes of fetch that replace those of Node', () => {
  for (const [name, use] of Object.entries(uses)) {
    it(`give the same as Node's: ${name}`, async () => {
      assert.deepEqual(await use(ours), await use(node));
    });
  }
});

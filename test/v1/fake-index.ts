import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before } from 'node:test';

/** The answer of the index, as a test sets it. `undefined`: it closes the connection without an answer. */
export type IndexAnswer = { status: number; body: string } | undefined;

export type AskedIndex = { method: string; path: string; authorization: string | undefined };

export type FakeIndex = {
  readonly endpoint: string;
  /** The requests of the registry, the latest last. */
  readonly asked: AskedIndex[];
  /** The answer to requests from now on. */
  answer: (path: string) => IndexAnswer;
};

/** The separate index of a registry that is not standalone, for the tests of a `describe`. */
export function useFakeIndex(): FakeIndex {
  let server: Server | undefined;
  const asked: AskedIndex[] = [];
  const index: FakeIndex = {
    get endpoint() {
      const address = server?.address() as AddressInfo | null | undefined;
      return `http://127.0.0.1:${(address ?? assert.fail('the index does not run yet')).port}`;
    },
    asked,
    answer: () => ({ status: 404, body: '{}' }),
  };
  before(async () => {
    server = createServer((incoming, outgoing) => {
      const { method = '', url: path = '', headers } = incoming;
      asked.push({ method, path, authorization: headers.authorization });
      const answer = index.answer(path);
      if (!answer) return void incoming.destroy();
      outgoing.writeHead(answer.status, { 'Content-Type': 'application/json' });
      outgoing.end(answer.body);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(async () => {
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
  });
  return index;
}

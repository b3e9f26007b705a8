import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { LambdaFunction } from './lambda-function.ts';
import { arnOf } from './template.ts';

export type LambdaService = {
  endpoint: string;
  /** Allows requests signed with this key to invoke these functions. */
  allow(accessKeyId: string, arns: readonly string[]): void;
  /** Invokes one of these functions when it is asked to, and does not wait for it. */
  connect(functions: ReadonlyMap<string, LambdaFunction>): void;
  /** When every event that has come is handled. */
  idle(): Promise<void>;
  /** What failed. */
  errors: unknown[];
  stop(): Promise<void>;
};

/**
 * Takes signed events for functions.
 * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 */
export async function startLambdaService(): Promise<LambdaService> {
  const allowed = new Map<string, readonly string[]>();
  const running = new Set<Promise<unknown>>();
  const errors: unknown[] = [];
  let functions: ReadonlyMap<string, LambdaFunction> = new Map();
  const server = createServer(async (request, response) => {
    const event = (await json(request)) as object;
    const [, id = ''] = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/.exec(request.url ?? '') ?? [];
    const [, key = ''] =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/\d+\/[a-z0-9-]+\/lambda\/aws4_request/.exec(
        request.headers.authorization ?? '',
      ) ?? [];
    const isEvent = request.headers['x-amz-invocation-type'] === 'Event';
    const called = functions.get(id);
    const isAllowed = allowed.get(key)?.includes(arnOf(id)) === true;
    response.writeHead(!isAllowed ? 403 : called && isEvent ? 202 : 404).end();
    if (!isAllowed || !called || !isEvent) return;
    const work = called.invoke(event).catch((error: unknown) => errors.push(error));
    running.add(work);
    void work.then(() => running.delete(work));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    allow: (accessKeyId, arns) => void allowed.set(accessKeyId, arns),
    connect: (found) => {
      functions = found;
    },
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
    errors,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

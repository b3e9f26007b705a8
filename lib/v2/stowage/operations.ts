// Operations that take long and whose state is kept in memory. Of several workers of a server one does them; the others relay.
import { type Context, Hono } from 'hono';
import { Gate } from '../../auth/gate.ts';
import { fsckRoutes } from './fsck.ts';
import { collectionOf, collectionRoutes } from './gc.ts';
import type { Operate, OperationOptions } from './options.ts';
import { usageRoutes } from './usage.ts';

const PATHS = ['/gc', '/fsck', '/usage'];

/** Does the operations in this process. */
export function createOperations(options: Pick<OperationOptions, 'registry' | 'startCollection' | 'gc'>): Operate {
  const app = operationRoutes({ ...options, gate: Gate.forOpenRegistry() }).onError((error) => {
    throw error;
  });
  return async ({ method, path }, signal) => {
    const response = await app.fetch(new Request(new URL(path, 'http://localhost'), { method, signal }));
    return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
  };
}

/** `/gc`, `/fsck` and `/usage`. */
export function operationRoutes(options: OperationOptions): Hono {
  const { gate, operate } = options;
  if (operate) {
    const relay = async ({ req }: Context) => {
      const path = `${req.path.slice(req.path.lastIndexOf('/'))}${new URL(req.url).search}`;
      const { body, ...init } = await operate({ method: req.method, path }, req.raw.signal);
      return new Response(body, init);
    };
    return new Hono()
      .on('GET', PATHS, gate.allowOperation, relay)
      .post('/gc', gate.allowRun(collectionOf), relay)
      .post('/fsck', gate.allowRun('fsck'), relay)
      .post('/usage', gate.allowRun('usage'), relay);
  }
  return new Hono()
    .route('/', collectionRoutes(options))
    .route('/', fsckRoutes(options))
    .route('/', usageRoutes(options));
}

import { openFiles } from '../storage/open.ts';
import { startRegistry } from '../support/registry-server.ts';
import { type MatrixRegistry, matrixSuite } from './matrix.ts';
import { BEARERS, ROOT } from './matrix-endpoints.ts';
import { expectedOf } from './matrix-rules.ts';
import { openTestAuth } from './test-auth.ts';

matrixSuite('on a Node server', { start, expected: expectedOf, further: ROOT });

async function start(access: object[], isOpenToAll: boolean): Promise<MatrixRegistry> {
  const storage = await openFiles();
  const auth = await openTestAuth({ users: BEARERS, access, driver: storage.driver });
  const server = await startRegistry(storage.driver, { auth, hasSearch: true, trustedProxies: 1 });
  return {
    url: server.url,
    driver: storage.driver,
    place: { isOpenToAll, realm: auth.config.realm, origin: server.url.origin, givesUrls: false },
    send: async (url, { headers, ...request }, client) => {
      // The first address is the client's claim, the second one is added by the trusted proxy.
      const forwarded = `192.0.2.${client % 256}, 198.51.${client >> 8}.${client % 256}`;
      return await fetch(url, {
        redirect: 'manual',
        ...request,
        headers: { ...headers, 'X-Forwarded-For': forwarded },
      });
    },
    async stop() {
      await server.stop();
      await storage.close();
    },
  };
}

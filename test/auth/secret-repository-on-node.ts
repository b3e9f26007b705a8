import type { OpenedStorage } from '../storage/contract.ts';
import { startRegistry } from '../support/registry-server.ts';
import { secretRepositorySuite, USERS } from './secret-repository.ts';
import { openTestAuth } from './test-auth.ts';

export function secretRepositoryOnNode(name: string, open: () => Promise<OpenedStorage>): void {
  secretRepositorySuite(`on ${name}`, {
    async start(access) {
      const storage = await open();
      const auth = await openTestAuth({ users: USERS, access });
      const server = await startRegistry(storage.driver, { auth, hasSearch: true });
      return {
        url: server.url,
        pushUrl: server.url,
        hasOpenSessions: true,
        idle: () => server.idle(),
        async stop() {
          await server.stop();
          await storage.close();
        },
      };
    },
  });
}

import { basic, openTestAuth } from '../auth/test-auth.ts';
import { openFiles } from '../storage/open.ts';
import { startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { describePages } from './pages.ts';

describePages('the web pages of a server, in Chromium', async () => {
  const storage = await openFiles();
  const server = await startRegistry(storage.driver, { auth: await openTestAuth({ users: ['alice'] }) });
  return {
    url: server.url,
    client: new V2Client(server.url, basic('alice')),
    idle: () => server.idle(),
    async stop() {
      await server.stop();
      await storage.close();
    },
  };
});

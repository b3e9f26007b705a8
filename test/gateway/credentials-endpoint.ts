import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type CredentialsEndpoint = { env: NodeJS.ProcessEnv; stop(): Promise<void> };

const LIFE_MS = 60 * 60 * 1000;

/**
 * The other way in which AWS gives credentials to what runs there: not in the environment, but from an endpoint that this
 * names. https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 * @param env with credentials; what is returned has the endpoint instead
 */
export async function startCredentialsEndpoint(env: NodeJS.ProcessEnv): Promise<CredentialsEndpoint> {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, ...others } = env;
  const server = createServer((_, response) => {
    response.setHeader('Content-Type', 'application/json');
    response.end(
      JSON.stringify({
        AccessKeyId: AWS_ACCESS_KEY_ID,
        SecretAccessKey: AWS_SECRET_ACCESS_KEY,
        Token: AWS_SESSION_TOKEN,
        Expiration: new Date(Date.now() + LIFE_MS).toISOString(),
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    env: { ...others, AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/` },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

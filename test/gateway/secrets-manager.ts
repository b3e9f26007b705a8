import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

export type SecretsManager = {
  endpoint: string;
  /** Allows requests signed with this key to read these secrets. */
  allow(accessKeyId: string, arns: readonly string[]): void;
  /** How often a secret was read. */
  reads(arn: string): number;
  stop(): Promise<void>;
};

/**
 * Answers signed requests for secrets.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
 */
export async function startSecretsManager(secrets: Readonly<Record<string, string>>): Promise<SecretsManager> {
  const reads = new Map<string, number>();
  const allowed = new Map<string, readonly string[]>();
  const server = createServer(async (request, response) => {
    const { SecretId: arn } = (await json(request)) as { SecretId: string };
    const [, key = ''] = /^AWS4-HMAC-SHA256 Credential=([^/]+)\//.exec(request.headers.authorization ?? '') ?? [];
    const isAllowed = allowed.get(key)?.includes(arn) === true;
    const isGet = request.headers['x-amz-target'] === 'secretsmanager.GetSecretValue';
    const secret = secrets[arn];
    reads.set(arn, (reads.get(arn) ?? 0) + 1);
    response.writeHead(isAllowed && isGet && secret !== undefined ? 200 : 400, {
      'content-type': 'application/x-amz-json-1.1',
    });
    response.end(
      JSON.stringify(
        !isAllowed || secret === undefined
          ? { __type: isAllowed ? 'ResourceNotFoundException' : 'AccessDeniedException' }
          : { ARN: arn, SecretString: secret, VersionId: '1' },
      ),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    allow: (accessKeyId, arns) => void allowed.set(accessKeyId, arns),
    reads: (arn) => reads.get(arn) ?? 0,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

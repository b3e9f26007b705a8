import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before } from 'node:test';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

export type TestIssuer = {
  readonly url: string;
  /** The number of requests for each path. */
  readonly asked: Map<string, number>;
  /** Replaces the answers of these paths. */
  readonly answers: Map<string, { status?: number; headers?: Record<string, string>; body: string }>;
  /** A token, signed by the newest key unless told otherwise. */
  token(claims?: Record<string, unknown>, options?: { key?: KeyPair; kid?: string; expires?: string }): Promise<string>;
  /** Publishes a new key and signs with it from now on. */
  rotate(): Promise<void>;
};

/** An identity provider on this machine, for the tests of a `describe`. */
export function useIssuer(): TestIssuer {
  const asked = new Map<string, number>();
  const answers: TestIssuer['answers'] = new Map();
  const published: JWK[] = [];
  let current: KeyPair | undefined;
  let url = '';

  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.set(path, (asked.get(path) ?? 0) + 1);
    const documents: Record<string, object> = {
      '/.well-known/openid-configuration': { issuer: url, jwks_uri: `${url}/keys` },
      '/keys': { keys: published },
    };
    const { status = 200, headers = {}, body } = answers.get(path) ?? { body: JSON.stringify(documents[path] ?? {}) };
    response.writeHead(status, headers).end(body);
  });
  const kidOf = (index: number) => `key-${index}`;
  const rotate = async () => {
    current = await generateKeyPair('RS256');
    published.push({ ...(await exportJWK(current.publicKey)), kid: kidOf(published.length), alg: 'RS256', use: 'sig' });
  };
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await rotate();
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  return {
    get url() {
      return url;
    },
    asked,
    answers,
    rotate,
    async token(claims = {}, { key = current, kid = kidOf(published.length - 1), expires = '5m' } = {}) {
      if (!key) throw new Error('the issuer has no key yet');
      return await new SignJWT({
        iss: url,
        aud: 'registry',
        sub: 'repo:org/app:ref:refs/heads/main',
        repository: 'org/app',
        ...claims,
      })
        .setProtectedHeader({ alg: 'RS256', kid })
        .setIssuedAt()
        .setExpirationTime(expires)
        .sign(key.privateKey);
    },
  };
}

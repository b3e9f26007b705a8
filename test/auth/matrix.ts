// Every endpoint of v1 and v2 with everything that somebody can show: exactly the status, the code and the challenge that
// each should get. What an endpoint does is tested elsewhere; here it is asked for what is not there, where that tells as
// well that the request was let in, so that the requests do not get in each other's way.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AccessTokens } from '../../lib/auth/access-tokens.ts';
import type { Action } from '../../lib/auth/caller.ts';
import { Keys } from '../../lib/auth/keys.ts';
import { Robots } from '../../lib/auth/robots.ts';
import { V1Tokens } from '../../lib/auth/v1-tokens.ts';
import type { RepositoryName } from '../../lib/names.ts';
import { type RegistryServer, startRegistry } from '../registry-server.ts';
import type { OpenedStorage } from '../storage/contract.ts';
import { newImage, newImageId } from '../v1/use-registry.ts';
import { V1Client } from '../v1-client.ts';
import { digestOf, V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { basic, openTestAuth, SECRET } from './test-auth.ts';

const REPOSITORY = 'm/x';
const EMPTY = digestOf('');

/** Who asks, and what they may do in `m/*`; `other` may do everything in `other/*`. */
const RIGHTS = {
  other: [],
  pull: ['pull'],
  push: ['pull', 'push'],
  delete: ['pull', 'delete'],
  admin: ['pull', 'push', 'delete'],
} satisfies Record<string, Action[]>;
type Bearer = keyof typeof RIGHTS;
const BEARERS = Object.keys(RIGHTS) as Bearer[];

const SCHEMES = ['Basic', 'Bearer', 'Token'] as const;
type Scheme = (typeof SCHEMES)[number];

const ACCESS = [
  { repositories: 'm/*', users: 'pull', actions: 'pull' },
  { repositories: 'm/*', users: 'push', actions: ['pull', 'push'] },
  { repositories: 'm/*', users: 'delete', actions: ['pull', 'delete'] },
  { repositories: 'm/*', users: 'admin', actions: '*' },
  { repositories: 'other/*', users: 'other', actions: '*' },
];
const OPEN = { repositories: 'public/*', users: 'anonymous', actions: 'pull' };

/**
 * What an endpoint needs: to do something in the repository of its URL; to be somebody; to push anywhere; to read an image,
 * which who may not is told is not there; to list; a password for a token; or nothing, be it wrong or not (`open`).
 */
type Need = Action | 'login' | 'push anywhere' | 'image' | 'list' | 'token' | 'nothing' | 'open';

type Endpoint = {
  method: string;
  path: string;
  needs: Need;
  /** What whoever is let in gets: status, and the code of v2. */
  gets: string;
  /** Another than `m/x`, in the path. */
  repository?: string;
  body?: string;
  headers?: Record<string, string>;
};

type World = { manifest: string; blob: string; image: string; session(): Promise<string> };

const V2: Endpoint[] = [
  { method: 'GET', path: '/v2/', needs: 'login', gets: '200' },
  { method: 'GET', path: '/v2', needs: 'login', gets: '200' },
  { method: 'GET', path: '/v2/_catalog', needs: 'list', gets: '200' },
  { method: 'GET', path: '/v2/_token', needs: 'token', gets: '200' },
  { method: 'POST', path: '/v2/_token', needs: 'nothing', gets: '405 UNSUPPORTED', body: 'grant_type=x' },
  { method: 'GET', path: '/v2/m/x/tags/list', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v2/m/x/manifests/latest', needs: 'pull', gets: '200' },
  { method: 'HEAD', path: '/v2/m/x/manifests/latest', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v2/m/x/manifests/<manifest>', needs: 'pull', gets: '200' },
  { method: 'PUT', path: '/v2/m/x/manifests/latest', needs: 'push', gets: '400 MANIFEST_INVALID', body: '{}' },
  { method: 'DELETE', path: '/v2/m/x/manifests/none', needs: 'delete', gets: '404 MANIFEST_UNKNOWN' },
  { method: 'GET', path: '/v2/m/x/blobs/<blob>', needs: 'pull', gets: '200' },
  { method: 'HEAD', path: '/v2/m/x/blobs/<blob>', needs: 'pull', gets: '200' },
  { method: 'DELETE', path: `/v2/m/x/blobs/${EMPTY}`, needs: 'delete', gets: '404 BLOB_UNKNOWN' },
  { method: 'GET', path: '/v2/m/x/referrers/<manifest>', needs: 'pull', gets: '200' },
  { method: 'POST', path: '/v2/m/x/blobs/uploads/', needs: 'push', gets: '202' },
  { method: 'POST', path: '/v2/m/x/blobs/uploads/?mount=<blob>&from=m/x', needs: 'push', gets: '201' },
  { method: 'GET', path: '<session>', needs: 'open', gets: '204' },
  { method: 'PATCH', path: '<session>', needs: 'open', gets: '202', body: 'x' },
  { method: 'PUT', path: `<session>&digest=${digestOf('x')}`, needs: 'open', gets: '201', body: 'x' },
  { method: 'DELETE', path: '<session>', needs: 'open', gets: '204' },
  {
    method: 'PATCH',
    path: '/v2/m/x/blobs/uploads/made-up?_state=e30.e30',
    needs: 'open',
    gets: '404 BLOB_UPLOAD_UNKNOWN',
  },
  { method: 'GET', path: '/v2/m/x/nothing', needs: 'nothing', gets: '404 NAME_UNKNOWN' },
  { method: 'POST', path: '/v2/m/x/tags/list', needs: 'nothing', gets: '405 UNSUPPORTED' },
];

const V1: Endpoint[] = [
  { method: 'GET', path: '/v1/_ping', needs: 'open', gets: '200' },
  { method: 'GET', path: '/v1/_status', needs: 'nothing', gets: '200' },
  { method: 'GET', path: '/v1/users', needs: 'login', gets: '200' },
  { method: 'GET', path: '/v1/users/', needs: 'login', gets: '200' },
  { method: 'POST', path: '/v1/users/', needs: 'login', gets: '201', body: '{}' },
  { method: 'PUT', path: '/v1/users/x/', needs: 'login', gets: '204', body: '{}' },
  { method: 'GET', path: '/v1/search?q=x', needs: 'list', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/images', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/tags', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/tags/v1', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/tags/v1/json', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/json', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/properties', needs: 'pull', gets: '200' },
  { method: 'PUT', path: '/v1/repositories/m/x/', needs: 'push', gets: '400', body: 'x' },
  { method: 'PUT', path: '/v1/repositories/m/x/images', needs: 'push', gets: '400', body: 'x' },
  { method: 'PUT', path: '/v1/repositories/m/x/auth', needs: 'pull', gets: '200', body: 'x' },
  { method: 'PUT', path: '/v1/repositories/m/x/tags/v1', needs: 'push', gets: '400', body: 'x' },
  { method: 'PUT', path: '/v1/repositories/m/x/properties', needs: 'push', gets: '400', body: 'x' },
  { method: 'DELETE', path: '/v1/repositories/m/x/images', needs: 'delete', gets: '204' },
  { method: 'DELETE', path: '/v1/repositories/m/x/tags/none', needs: 'delete', gets: '404' },
  { method: 'DELETE', path: '/v1/repositories/m/none/tags', needs: 'delete', gets: '404', repository: 'm/none' },
  { method: 'DELETE', path: '/v1/repositories/m/none/', needs: 'delete', gets: '404', repository: 'm/none' },
  { method: 'GET', path: '/v1/images/<image>/json', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/ancestry', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/layer', needs: 'image', gets: '200' },
  { method: 'HEAD', path: '/v1/images/<image>/layer', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/files', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/diff', needs: 'image', gets: '400' },
  { method: 'PUT', path: '/v1/images/<new image>/json', needs: 'push anywhere', gets: '400', body: 'x' },
  { method: 'PUT', path: '/v1/images/<new image>/layer', needs: 'push anywhere', gets: '404', body: 'x' },
  {
    method: 'PUT',
    path: '/v1/images/<new image>/checksum',
    needs: 'push anywhere',
    gets: '404',
    headers: { 'X-Docker-Checksum-Payload': 'sha256:x' },
  },
  { method: 'GET', path: '/v1/nothing', needs: 'nothing', gets: '404' },
];

export function matrixSuite(name: string, open: () => Promise<OpenedStorage>): void {
  for (const isOpenToAll of [true, false]) {
    describe(`everybody at every endpoint, on ${name}, ${isOpenToAll ? 'where something is for all' : 'where nothing is'}`, () => {
      let storage: OpenedStorage;
      let server: RegistryServer;
      let world: World;
      let expiredRobot: string;
      before(async () => {
        storage = await open();
        const access = isOpenToAll ? [...ACCESS, OPEN] : ACCESS;
        const auth = await openTestAuth({ users: BEARERS, access, driver: storage.driver });
        server = await startRegistry(storage.driver, { auth, hasSearch: true, trustedProxies: 1 });
        const admin = new V2Client(server.url, basic('admin'));
        const { digest, manifest } = await pushImage(admin, REPOSITORY, 'latest', { contents: ['matrix'] });
        const image = newImage();
        await new V1Client(server.url, basic('admin').Authorization).push(REPOSITORY, [image], { v1: image.id });
        await server.idle();
        const { layers } = manifest as { layers: { digest: string }[] };
        world = {
          manifest: digest,
          blob: layers[0]?.digest ?? '',
          image: image.id,
          session: () => admin.start(REPOSITORY),
        };
        const robot = { name: 'old', repositories: ['*'], actions: RIGHTS.admin };
        expiredRobot = (await new Robots(storage.driver).create({ ...robot, expiresAt: '2026-01-01T00:00:00Z' })).token;
      });
      after(async () => {
        await server.stop();
        await storage.close();
      });

      let guesses = 0;
      /** Wrong in another way each time, and from elsewhere, since who tries passwords is slowed down. */
      const wrong = (scheme: Scheme): string => {
        guesses++;
        if (scheme === 'Basic') return basic(`user${guesses}`, 'wrong').Authorization;
        if (scheme === 'Bearer') return `Bearer x.y.${guesses}`;
        return `Token signature=ABCDEFGHIJKLMNOP,repository="${REPOSITORY}",access=write`;
      };
      const expired = async (scheme: Scheme): Promise<string> => {
        if (scheme === 'Basic') return basic('robot', expiredRobot).Authorization;
        if (scheme === 'Bearer') return `Bearer ${await expiredBearer()}`;
        return new V1Tokens(new Keys(SECRET)).issue(
          REPOSITORY as RepositoryName,
          'write',
          { subject: 'admin', actions: RIGHTS.admin },
          Date.now() - 7 * 60 * 60 * 1000,
        );
      };
      /** A token of exactly what its bearer may do, in the repository that is asked for; of `other` elsewhere. */
      const shown = async (scheme: Scheme, bearer: Bearer, repository: string): Promise<string> => {
        if (scheme === 'Basic') return basic(bearer).Authorization;
        const actions: Action[] = bearer === 'other' ? RIGHTS.admin : RIGHTS[bearer];
        const where = bearer === 'other' ? 'other/x' : repository;
        if (scheme === 'Token') {
          return new V1Tokens(new Keys(SECRET)).issue(where as RepositoryName, 'write', { subject: bearer, actions });
        }
        const url = new URL(`/v2/_token?scope=repository:${where}:${actions.join(',')}`, server.url);
        const response = await fetch(url, { headers: basic(bearer) });
        return `Bearer ${((await response.json()) as { token: string }).token}`;
      };

      const pathOf = async (path: string) =>
        path
          .replace('<session>', path.includes('<session>') ? await world.session() : '')
          .replace('<manifest>', world.manifest)
          .replace('<blob>', world.blob)
          .replace('<image>', world.image)
          .replace('<new image>', newImageId());

      const ask = async (
        { method, path, body, headers }: Endpoint,
        authorization: string | undefined,
      ): Promise<string> => {
        const response = await fetch(new URL(await pathOf(path), server.url), {
          method,
          redirect: 'manual',
          ...(body !== undefined && { body: Buffer.from(body) }),
          headers: {
            ...headers,
            'X-Forwarded-For': `192.0.2.${guesses % 256}, 198.51.${guesses >> 8}.${guesses % 256}`,
            ...(authorization !== undefined && { Authorization: authorization }),
          },
        });
        return await outcomeOf(method, path, response);
      };

      const bearerChallenge = (parameters = '') =>
        `Bearer realm="${server.url.origin}/v2/_token",service="${server.url.host}"${parameters}`;

      /** The rules, as docs/auth.md has them, in other words than the code's. */
      const expected = (
        endpoint: Endpoint,
        scheme: Scheme | undefined,
        who: Bearer | 'anonymous' | 'invalid',
      ): string => {
        const { path, needs, gets, method, repository = REPOSITORY } = endpoint;
        const isV2 = path.startsWith('/v2') || path.startsWith('<session>');
        const code = (text: string) => (isV2 && method !== 'HEAD' ? ` ${text}` : '');
        const challenge = (parameters: string, hasToken: boolean) => {
          if (!isV2 || path === '/v2/_token') return 'Basic realm="Ours"';
          return isOpenToAll || hasToken ? bearerChallenge(parameters) : 'Basic realm="Ours"';
        };
        const unauthorized = (parameters = '', hasToken = false) =>
          `401${code('UNAUTHORIZED')} ${challenge(parameters, hasToken)}`;

        if (needs === 'open') return gets;
        if (who === 'invalid') return unauthorized('', scheme === 'Bearer');
        if (needs === 'nothing') return gets;

        const isAnonymous = who === 'anonymous';
        const hasToken = !isAnonymous && scheme !== 'Basic';
        const scope = needs === 'push' ? 'pull,push' : needs === 'pull' || needs === 'delete' ? needs : undefined;
        const parameters = scope ? `,scope="repository:${repository}:${scope}"` : '';
        const insufficient = `${parameters},error="insufficient_scope"`;
        switch (needs) {
          case 'login':
            return isAnonymous ? unauthorized() : gets;
          case 'token':
            if (isAnonymous) return isOpenToAll ? gets : unauthorized();
            return hasToken ? unauthorized() : gets;
          case 'list':
            if (isAnonymous) return isOpenToAll ? gets : unauthorized(',scope="registry:catalog:*"');
            return hasToken ? unauthorized(',scope="registry:catalog:*",error="insufficient_scope"', true) : gets;
          case 'image':
            if (isAnonymous) return isOpenToAll ? '404' : unauthorized();
            return who === 'other' ? '404' : gets;
          case 'push anywhere':
            if (isAnonymous) return unauthorized();
            if (who === 'other' || who === 'push' || who === 'admin') return gets;
            return hasToken ? unauthorized() : '403';
          default: {
            if (isAnonymous) return unauthorized(parameters);
            const rights: Action[] = RIGHTS[who];
            if (rights.includes(needs)) return gets;
            if (hasToken) return unauthorized(insufficient, true);
            // What clients ask with HEAD before they push is not there, so that they go on and are told why not.
            return method === 'HEAD' && path.includes('<blob>') ? '404' : `403${code('DENIED')}`;
          }
        }
      };

      for (const endpoint of [...V2, ...V1]) {
        it(`${endpoint.method} ${endpoint.path}`, async () => {
          const actual: Record<string, string> = { anonymous: await ask(endpoint, undefined) };
          const wanted: Record<string, string> = { anonymous: expected(endpoint, undefined, 'anonymous') };
          for (const scheme of SCHEMES) {
            for (const bearer of BEARERS) {
              const authorization = await shown(scheme, bearer, endpoint.repository ?? REPOSITORY);
              actual[`${scheme} ${bearer}`] = await ask(endpoint, authorization);
              wanted[`${scheme} ${bearer}`] = expected(endpoint, scheme, bearer);
            }
            actual[`${scheme} wrong`] = await ask(endpoint, wrong(scheme));
            guesses++;
            actual[`${scheme} expired`] = await ask(endpoint, await expired(scheme));
            for (const title of ['wrong', 'expired'])
              wanted[`${scheme} ${title}`] = expected(endpoint, scheme, 'invalid');
          }
          assert.deepEqual(actual, wanted);
        });
      }
    });
  }
}

/** Status, the codes of v2, and the challenge: `401 UNAUTHORIZED Basic realm="Ours"`. */
async function outcomeOf(method: string, path: string, response: Response): Promise<string> {
  const parts = [String(response.status)];
  const text = await response.text();
  const isV2 = path.startsWith('/v2') || path.startsWith('<session>');
  if (response.status >= 400 && method !== 'HEAD') {
    const body = JSON.parse(text) as { error?: string; errors?: { code: string; message: string }[] };
    if (isV2) parts.push(...(body.errors ?? assert.fail(text)).map(({ code }) => code));
    else assert.equal(typeof body.error, 'string', text);
  }
  const challenge = response.headers.get('WWW-Authenticate');
  if (response.status === 401) parts.push(challenge ?? 'no challenge');
  // v1's index hands out tokens in this header, which is a challenge only beside a 401.
  else if (isV2) assert.equal(challenge, null);
  return parts.join(' ');
}

/** As the registry made it some time ago. */
async function expiredBearer(): Promise<string> {
  const { SignJWT } = await import('jose');
  const grants = [{ repository: REPOSITORY, actions: RIGHTS.admin }];
  const claims = new SignJWT({ grants }).setProtectedHeader({ alg: 'HS256' }).setIssuer('stowage').setSubject('admin');
  const key = new Keys(SECRET).signing('access token');
  const valid = await claims.setExpirationTime('5m').sign(key);
  assert.ok(await new AccessTokens(new Keys(SECRET)).readAccess(valid), 'the test signs as the registry does');
  return await claims.setExpirationTime(Math.floor(Date.now() / 1000) - 1).sign(key);
}

import { type Context, Hono } from 'hono';
import { createMiddleware } from 'hono/factory';
import { nameOf } from '../auth/callers/caller.ts';
import type { RepositoryEnv } from '../auth/gate.ts';
import { callerOf } from '../auth/request-caller.ts';
import { locationBaseOf, pushEndpointFor, registryUrlOf } from '../http/gateway-quirks.ts';
import { parseContentRange } from '../http/range.ts';
import { bodyOf, contentLengthOf, EMPTY } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import {
  type Digest,
  parseDigest,
  parseDigestAlgorithm,
  parseRepositoryName,
  type RepositoryName,
} from '../model/names.ts';
import { SessionSigner, type UploadSession } from '../registry/uploads/session.ts';
import { receivedRange, type UploadBody } from '../registry/uploads/uploads.ts';
import type { V2Options } from './options.ts';

/** The parameter that carries the signed session: in the query, since gateways limit the length of paths. */
const STATE = '_state';

type SessionEnv = { Variables: { session: UploadSession } };

/** Some clients, and some proxies, leave out the final slash that the spec wants. */
const START_PATHS = ['/:name/blobs/uploads/', '/:name/blobs/uploads'];

const SESSION_PATH = '/:name/blobs/uploads/:uuid';

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs */
export const uploadRoutes = ({ registry: { blobs, uploads }, keys, gate, limits, ...gateway }: V2Options) => {
  const signer = new SessionSigner(keys);
  const sessionOf = (c: Context<SessionEnv, typeof SESSION_PATH>): UploadSession =>
    signer.verify(c.req.query(STATE) ?? '', parseRepositoryName(c.req.param('name')), c.req.param('uuid'));

  /** Where the upload goes on. `Range` and `Location` are all that a client needs to know of it. */
  const goOn = (c: Context, name: string, session: UploadSession, status: 202 | 204) => {
    const path = `/v2/${name}/blobs/uploads/${session.uuid}`;
    return c.body(null, status, {
      ...(status === 202 && EMPTY),
      Location: `${session.uploadOrigin ?? ''}${path}?${STATE}=${signer.sign(session)}`,
      Range: receivedRange(session),
      'Docker-Upload-UUID': session.uuid,
    });
  };

  /**
   * What cannot be mounted is uploaded: what the caller may not pull, as if it were not there, and what can be no digest or
   * no repository of this registry, such as `other.example:5000/app`.
   */
  const tryMount = async (c: Context, mount: string, from: string | undefined, to: RepositoryName) => {
    const digest = unlessInvalid(() => parseDigest(mount));
    if (digest === undefined) return undefined;
    return (await hasMounted(c, digest, from, to)) ? digest : undefined;
  };

  const hasMounted = async (c: Context, digest: Digest, from: string | undefined, to: RepositoryName) => {
    if (from !== undefined) {
      const source = unlessInvalid(() => parseRepositoryName(from));
      return source !== undefined && gate.may(c, 'pull', source) && (await blobs.mount(digest, source, to));
    }
    // Which repositories hold a blob is not known, so this is for those who may pull from all of them.
    return gate.mayEverywhere(c, 'pull') && (await blobs.mountFromAnywhere(digest, to));
  };

  /** The signed session is the permission: whoever takes the bytes may be another host, to which no client logs in. */
  const bySession = createMiddleware<SessionEnv, typeof SESSION_PATH>(async (c, next) => {
    const session = sessionOf(c);
    c.set('session', session);
    await next();
    if (!['GET', 'HEAD'].includes(c.req.method)) gate.auditOutcome(c, 'push', session.repository, session.startedBy);
  });

  const limitSession = limits.limitUploads((c) => (c.get('session') as UploadSession).startedBy);

  return new Hono<SessionEnv>()
    .on('POST', START_PATHS, gate.allow('push'), limits.limitUploads(), async (c: Context<RepositoryEnv>) => {
      const name = c.req.param('name') ?? '';
      const { repository } = c.var;
      const base = locationBaseOf(c, gateway);
      const { mount, from, digest, 'digest-algorithm': algorithm = 'sha256' } = c.req.query();
      if (mount !== undefined) {
        const mounted = await tryMount(c, mount, from, repository);
        if (mounted) return created(c, base, name, mounted);
      }
      const elsewhere = digest === undefined ? pushEndpointFor(c, gateway) : undefined;
      const started = uploads.start(repository, parseDigestAlgorithm(algorithm), {
        // From another host the way back is an absolute URL.
        registryUrl: elsewhere === undefined ? base : registryUrlOf(c, gateway),
        uploadOrigin: elsewhere ?? base,
      });
      const session = gate.isOpen ? started : { ...started, startedBy: nameOf(callerOf(c)) };
      if (digest === undefined) return goOn(c, name, session, 202);
      const expected = parseDigest(digest);
      await uploads.commit(session, expected, uploadBody(c));
      return created(c, session.registryUrl, name, expected);
    })

    .get(SESSION_PATH, bySession, (c) => goOn(c, c.req.param('name'), c.get('session'), 204))

    .patch(SESSION_PATH, bySession, limitSession, async (c) => {
      const session = await uploads.append(c.get('session'), uploadBody(c));
      return goOn(c, c.req.param('name'), session, 202);
    })

    .put(SESSION_PATH, bySession, limitSession, async (c) => {
      const session = c.get('session');
      const digest = parseDigest(c.req.query('digest') ?? '');
      await uploads.commit(session, digest, uploadBody(c));
      return created(c, session.registryUrl, c.req.param('name'), digest);
    })

    .delete(SESSION_PATH, bySession, async (c) => {
      await uploads.cancel(c.get('session'));
      return c.body(null, 204);
    });
};

/** @param registryUrl origin of the registry, which need not be the host that took the bytes; empty for this host */
function created(c: Context, registryUrl: string, name: string, digest: Digest): Response {
  return c.body(null, 201, {
    ...EMPTY,
    Location: `${registryUrl}/v2/${name}/blobs/${digest}`,
    'Docker-Content-Digest': digest,
  });
}

/** @returns undefined for a text that is none */
function unlessInvalid<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

function uploadBody(c: Context): UploadBody {
  const contentRange = c.req.header('Content-Range');
  const range = contentRange === undefined ? undefined : parseContentRange(contentRange);
  if (contentRange !== undefined && !range) {
    throw new RegistryError('BLOB_UPLOAD_INVALID', `Content-Range ${contentRange} is not of the form 0-999`);
  }
  const sizeBytes = contentLengthOf(c);
  return {
    bytes: bodyOf(c),
    signal: c.req.raw.signal,
    ...(range && { range }),
    ...(sizeBytes !== undefined && { sizeBytes }),
  };
}

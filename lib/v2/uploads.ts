import { type Context, Hono } from 'hono';
import { createMiddleware } from 'hono/factory';
import { nameOf } from '../auth/callers/caller.ts';
import type { RepositoryEnv } from '../auth/gate.ts';
import { callerOf } from '../auth/request-caller.ts';
import { locationBaseOf, pushEndpointFor, registryUrlOf } from '../http/gateway-quirks.ts';
import { parseContentRange } from '../http/range.ts';
import { blocksOf, clientSignalOf, contentLengthOf, EMPTY } from '../http/request.ts';
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

/** Query parameter with the signed session: gateways limit the length of paths. */
const STATE = '_state';

type SessionEnv = { Variables: { session: UploadSession } };

/** The spec requires the final slash; some clients and proxies omit it. */
const START_PATHS = ['/:name/blobs/uploads/', '/:name/blobs/uploads'];

const SESSION_PATH = '/:name/blobs/uploads/:uuid';

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs */
export const uploadRoutes = ({ registry: { blobs, quotas, uploads }, keys, gate, limits, ...gateway }: V2Options) => {
  const signer = new SessionSigner(keys);
  const sessionOf = (c: Context<SessionEnv, typeof SESSION_PATH>): UploadSession =>
    signer.verify(c.req.query(STATE) ?? '', parseRepositoryName(c.req.param('name')), c.req.param('uuid'));

  /** The answer to a request that does not end the upload: the client continues with `Location` and `Range`. */
  const continueAt = (c: Context, name: string, session: UploadSession, status: 202 | 204) => {
    const path = `/v2/${name}/blobs/uploads/${session.uuid}`;
    return c.body(null, status, {
      ...(status === 202 && EMPTY),
      Location: `${session.uploadOrigin ?? ''}${path}?${STATE}=${signer.sign(session)}`,
      Range: receivedRange(session),
      'Docker-Upload-UUID': session.uuid,
    });
  };

  /**
   * The blob, or undefined if the client has to upload the blob: the caller may not pull it, it does not exist, or digest or
   * repository are none of this registry (`other.example:5000/app`).
   */
  const tryMount = async (c: Context, mount: string, from: string | undefined, to: RepositoryName) => {
    const digest = unlessInvalid(() => parseDigest(mount));
    return digest && (await mountFrom(c, digest, from, to));
  };

  const mountFrom = async (c: Context, digest: Digest, from: string | undefined, to: RepositoryName) => {
    if (from !== undefined) {
      const source = unlessInvalid(() => parseRepositoryName(from));
      return source !== undefined && gate.may(c, 'pull', source) ? await blobs.mount(digest, source, to) : undefined;
    }
    // Which repositories hold a blob is not stored, so the caller must be allowed to pull from all.
    return gate.mayEverywhere(c, 'pull') ? await blobs.mountFromAnywhere(digest, to) : undefined;
  };

  const commit = async (session: UploadSession, digest: Digest, body: UploadBody) => {
    const { sizeBytes } = await uploads.commit(session, digest, body);
    quotas.countLink(session.repository, { digest, sizeBytes });
  };

  /** Access by the signed session: the push endpoint is another host, to which clients send no credentials. */
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
      await quotas.checkUpload(repository);
      if (mount !== undefined) {
        const mounted = await tryMount(c, mount, from, repository);
        if (mounted) {
          quotas.countLink(repository, mounted);
          return created(c, base, name, mounted.digest);
        }
      }
      const pushEndpoint = digest === undefined ? pushEndpointFor(c, gateway) : undefined;
      const started = uploads.start(repository, parseDigestAlgorithm(algorithm), {
        // The push endpoint needs an absolute URL for the final `Location`.
        registryUrl: pushEndpoint === undefined ? base : registryUrlOf(c, gateway),
        uploadOrigin: pushEndpoint ?? base,
      });
      const session = gate.isOpen ? started : { ...started, startedBy: nameOf(callerOf(c)) };
      if (digest === undefined) return continueAt(c, name, session, 202);
      const expected = parseDigest(digest);
      await commit(session, expected, uploadBody(c));
      return created(c, session.registryUrl, name, expected);
    })

    .get(SESSION_PATH, bySession, (c) => continueAt(c, c.req.param('name'), c.get('session'), 204))

    .patch(SESSION_PATH, bySession, limitSession, async (c) => {
      const session = await uploads.append(c.get('session'), uploadBody(c));
      return continueAt(c, c.req.param('name'), session, 202);
    })

    .put(SESSION_PATH, bySession, limitSession, async (c) => {
      const session = c.get('session');
      const digest = parseDigest(c.req.query('digest') ?? '');
      await commit(session, digest, uploadBody(c));
      return created(c, session.registryUrl, c.req.param('name'), digest);
    })

    .delete(SESSION_PATH, bySession, async (c) => {
      await uploads.cancel(c.get('session'));
      return c.body(null, 204);
    });
};

/** @param registryUrl origin of the registry, which may be another host than the one that took the bytes; empty for this host */
function created(c: Context, registryUrl: string, name: string, digest: Digest): Response {
  return c.body(null, 201, {
    ...EMPTY,
    Location: `${registryUrl}/v2/${name}/blobs/${digest}`,
    'Docker-Content-Digest': digest,
  });
}

/** What `parse` returns; undefined where it throws a RegistryError. */
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
    throw new RegistryError(
      'BLOB_UPLOAD_INVALID',
      `Content-Range ${JSON.stringify(contentRange.slice(0, 100))} must have the form 0-999`,
    );
  }
  const sizeBytes = contentLengthOf(c);
  return {
    ...blocksOf(c),
    signal: clientSignalOf(c),
    ...(range && { range }),
    ...(sizeBytes !== undefined && { sizeBytes }),
  };
}

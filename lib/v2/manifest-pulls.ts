import { Hono } from 'hono';
import { callerNameOf } from '../auth/request-caller.ts';
import { isKnown } from '../http/request.ts';
import { parseReference } from '../model/names.ts';
import type { PullOptions } from './options.ts';

export const MANIFEST_PATH = '/:name/manifests/:reference';

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests */
export const manifestPulls = ({ registry: { manifests, pulls }, gate, forwardsHeadContentLength }: PullOptions) =>
  new Hono().get(MANIFEST_PATH, gate.allow('pull'), async (c) => {
    const { repository } = c.var;
    const reference = parseReference(c.req.param('reference'));
    const { digest, mediaType, bytes } = await manifests.get(repository, reference, {
      mayPush: () => gate.may(c, 'push', repository),
    });
    if (c.req.method === 'GET') {
      await pulls.note(repository, digest, { caller: callerNameOf(c), userAgent: c.req.header('User-Agent') ?? '' });
    }
    const etag = `"${digest}"`;
    // Docker fails on a HEAD with a digest and without a length; without both it sends a GET.
    const hasLength = c.req.method !== 'HEAD' || forwardsHeadContentLength;
    if (hasLength) c.header('Docker-Content-Digest', digest);
    c.header('ETag', etag);
    // A tag may move, and a manifest may be deleted.
    c.header('Cache-Control', 'no-cache');
    if (isKnown(c, etag)) return c.body(null, 304);
    c.header('Content-Type', mediaType);
    c.header('Content-Length', String(bytes.length));
    return c.req.method === 'HEAD' ? c.body(null) : c.body(bytes);
  });

import { Hono } from 'hono';
import { wantsRangeOf } from '../http/preconditions.ts';
import { lengthOf, parseRange } from '../http/range.ts';
import { isKnown } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import { parseDigest } from '../model/names.ts';
import type { PullOptions } from './options.ts';

export const BLOB_PATH = '/:name/blobs/:digest';

export const NAMED_BY_CONTENT = 'max-age=31536000, immutable';
/** For a registry with logins: some shared caches would give an answer for one login to other clients. */
const PRIVATE = `private, ${NAMED_BY_CONTENT}`;

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs */
export const blobPulls = ({
  registry: { blobs },
  gate,
  limits,
  storageRedirect,
  forwardsHeadContentLength,
}: PullOptions) =>
  new Hono().get(BLOB_PATH, gate.allow('pull'), async (c) => {
    const { repository } = c.var;
    const digest = parseDigest(c.req.param('digest'));
    const link = await blobs.stat(repository, digest, { mayPush: () => gate.may(c, 'push', repository) });
    const etag = `"${digest}"`;
    c.header('Docker-Content-Digest', digest);
    c.header('ETag', etag);
    c.header('Cache-Control', gate.isOpen ? NAMED_BY_CONTENT : PRIVATE);
    if (isKnown(c, etag)) return c.body(null, 304);
    c.header('Content-Type', 'application/octet-stream');
    c.header('Accept-Ranges', 'bytes');
    const method = c.req.method === 'HEAD' ? 'HEAD' : 'GET';
    const redirects = storageRedirect && (method === 'GET' || !forwardsHeadContentLength);
    const url = redirects ? await blobs.presign(method, link) : undefined;
    if (url) return c.body(null, 307, { Location: url.href, 'Cache-Control': 'no-store' });

    if (method === 'HEAD') return c.body(null, 200, { 'Content-Length': String(link.sizeBytes) });

    const range = wantsRangeOf(c, etag) ? parseRange(c.req.header('Range'), link.sizeBytes) : undefined;
    if (range === 'unsatisfiable') {
      throw new RegistryError('RANGE_INVALID', `the range begins after the ${link.sizeBytes} bytes of the blob`, {
        headers: { 'Content-Range': `bytes */${link.sizeBytes}` },
      });
    }
    const lengthBytes = lengthOf(range, link.sizeBytes);
    const body = await limits.download(c, lengthBytes, () => blobs.read(link, range));
    if (!range) return c.body(body, 200, { 'Content-Length': String(lengthBytes) });
    return c.body(body, 206, {
      'Content-Length': String(lengthBytes),
      'Content-Range': `bytes ${range.start}-${range.end}/${link.sizeBytes}`,
    });
  });

import { Hono } from 'hono';
import { EMPTY } from '../http/request.ts';
import { parseDigest } from '../model/names.ts';
import { BLOB_PATH } from './blob-pulls.ts';
import type { V2Options } from './options.ts';

export const blobRoutes = ({ registry: { blobs }, gate }: V2Options) =>
  new Hono().delete(BLOB_PATH, gate.allow('delete'), async (c) => {
    const { repository } = c.var;
    const digest = parseDigest(c.req.param('digest'));
    await blobs.unlink(repository, digest);
    return c.body(null, 202, { ...EMPTY, 'Docker-Content-Digest': digest });
  });

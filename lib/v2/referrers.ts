import { Hono } from 'hono';
import { MEDIA_TYPES } from '../model/manifest.ts';
import { parseDigest } from '../model/names.ts';
import type { V2Options } from './options.ts';

const AFTER = /^[a-f0-9]{64}(?:[a-f0-9]{64})?$/;

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers */
export const referrerRoutes = ({ registry: { referrers }, gate }: V2Options) =>
  new Hono().get('/:name/referrers/:digest', gate.allow('pull'), async (c) => {
    const name = c.req.param('name');
    const { repository } = c.var;
    const subject = parseDigest(c.req.param('digest'));
    const { artifactType, last } = c.req.query();
    const { descriptors, next } = await referrers.list(repository, subject, {
      ...(artifactType && { artifactType }),
      ...(last && AFTER.test(last) && { after: last }),
    });
    if (artifactType) c.header('OCI-Filters-Applied', 'artifactType');
    if (next) {
      const query = new URLSearchParams({ ...(artifactType && { artifactType }), last: next });
      c.header('Link', `</v2/${name}/referrers/${subject}?${query}>; rel="next"`);
    }
    const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: descriptors };
    return c.body(JSON.stringify(index), 200, { 'Content-Type': MEDIA_TYPES.ociIndex });
  });

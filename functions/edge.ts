import { createHash, timingSafeEqual } from 'node:crypto';

/** What infra/edge.yaml has CloudFront send along; it replaces what a client has sent under this name. */
export const EDGE_HEADER = 'x-stowage-edge';

/**
 * Whether CloudFront has sent a request. What stands behind it can be asked past it too, by its own host, and is then told
 * any X-Forwarded-For: whoever guesses passwords would claim a new address for each.
 */
export function cameByEdge(shown: string | undefined, key = process.env.EDGE_KEY): boolean {
  return Boolean(key && shown) && timingSafeEqual(sha256(shown), sha256(key));
}

function sha256(text = ''): Buffer {
  return createHash('sha256').update(text).digest();
}

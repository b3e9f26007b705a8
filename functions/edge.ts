import { createHash, timingSafeEqual } from 'node:crypto';

/** The header that CloudFront adds (infra/edge.yaml). CloudFront replaces a header of this name sent by a client. */
export const EDGE_HEADER = 'x-stowage-edge';

/**
 * Whether CloudFront forwarded a request. The origins can also be reached directly, by their own hosts, with any
 * X-Forwarded-For: a client that guesses passwords could claim a new address for each attempt.
 */
export function cameByEdge(shown: string | undefined, key = process.env.EDGE_KEY): boolean {
  return Boolean(key && shown) && timingSafeEqual(sha256(shown), sha256(key));
}

function sha256(text = ''): Buffer {
  return createHash('sha256').update(text).digest();
}

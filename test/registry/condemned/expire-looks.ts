import { COLLECTION_TIMES } from '../../../lib/registry/condemned/times.ts';

const now = performance.now.bind(performance);
let aheadMs = 0;

/**
 * Lets all looks of this process expire, as if it had been suspended: its monotonic clock goes on from `lookMs` later. The wall
 * clock, which dates the signatures of S3, stays right.
 */
export function expireLooks(): void {
  aheadMs += COLLECTION_TIMES.lookMs;
  performance.now = () => now() + aheadMs;
}

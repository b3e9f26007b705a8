// What the requests that go without the SDK have in common.
import { KiB } from '../streams/bytes.ts';
import { percentEncode, type Signing } from './aws-signature.ts';
import type { Place } from './s3-access.ts';

/** Larger bodies are sent over the connections for uploads. */
export const SMALL_BYTES = 64 * KiB;

/** The path of an object below the URL of the bucket. @throws URIError for a half of a surrogate pair */
export function encodeKey(key: string): string {
  return key.split('/').map(percentEncode).join('/');
}

/** To sign a request that is sent now. */
export function signingAt({ region, credentials, clockOffsetMs }: Place): Signing {
  return { region, credentials, timeMs: Date.now() + clockOffsetMs };
}

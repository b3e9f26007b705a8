import { randomBytes } from 'node:crypto';

/**
 * Two blocks with one MD5, the first that were published. With equal bytes after them the MD5s stay equal.
 * https://eprint.iacr.org/2004/199
 */
const BEGINNINGS = [
  'd131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a' +
    '085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0' +
    'e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70',
  'd131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f8955ad340609f4b30283e4888325f1415a' +
    '085125e8f7cdc99fd91dbd7280373c5bd8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0' +
    'e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70',
] as const;
const BEGINNING_BYTES = 128;

/** Two contents of this size that differ and have one MD5, each time others. */
export function withOneMd5(sizeBytes: number): [Buffer, Buffer] {
  const end = randomBytes(sizeBytes - BEGINNING_BYTES);
  const [first, second] = BEGINNINGS;
  return [Buffer.concat([Buffer.from(first, 'hex'), end]), Buffer.concat([Buffer.from(second, 'hex'), end])];
}

// An upload session has no object of its own: all that is known about it travels, signed, with the client, so any
// instance that has the secret can go on with any upload. It is a permission to write into one repository for a day.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { RegistryError } from '../../model/errors.ts';
import type { Key } from '../../model/layout.ts';
import type { Digest, DigestAlgorithm, RepositoryName } from '../../model/names.ts';
import type { MultipartUpload } from '../../storage/driver.ts';

/** How long a session may rest between two requests. Each answer renews it. */
const SESSION_SECONDS = 60 * 60;

/**
 * How long an upload may take in all, and so how long its scraps are kept. Whoever sees a session, or has lost the right to
 * push, can renew it no further.
 */
export const UPLOAD_SECONDS = 24 * 60 * 60;

/** Chunks of an upload that have come so far. */
export type ChunkedState = {
  kind: 'chunked';
  sizeBytes: number;
  algorithm: DigestAlgorithm;
  /** The hash of those bytes, not yet finished; base64url of what `hash-wasm` exports. */
  hashState: string;
  /** Bytes that are too few for a part; the object is written once and named here only. */
  scrap?: { uuid: string; sizeBytes: number };
  /** Hashes over the ETags and over the SHA-256 of the parts, in order: commit takes exactly these parts or none. */
  multipart?: MultipartUpload & { partCount: number; etagChain: string; sha256Chain: string };
};

export type UploadState =
  | { kind: 'started'; algorithm: DigestAlgorithm }
  /** The whole blob came in one request and is stored; only its link is missing. */
  | { kind: 'stored'; sizeBytes: number; digest: Digest; key: Key }
  | ChunkedState;

export type UploadSession = {
  uuid: string;
  repository: RepositoryName;
  /** Origin under which the client reaches the registry, which may not be the host that takes the bytes; empty for that host. */
  registryUrl: string;
  /** Origin of the host that takes the bytes; empty for the one where the client is. */
  uploadOrigin?: string;
  /** Unix time. */
  startedAtSeconds: number;
  state: UploadState;
  /** Who has begun it, for the log. */
  startedBy?: string;
};

export function sizeOf(state: UploadState): number {
  return state.kind === 'started' ? 0 : state.sizeBytes;
}

/** Signs and reads sessions. Every process that serves the same uploads needs the same secret. */
export class SessionSigner {
  readonly #keys: Buffer[];

  /** @param previous secrets of before, which are still accepted but sign nothing any more */
  constructor(secret: string, previous: readonly string[] = []) {
    // Keys of their own, so that no signature made elsewhere with these secrets passes for a session.
    this.#keys = [secret, ...previous].map((text) =>
      createHmac('sha256', text).update('stowage upload session').digest(),
    );
  }

  /** Keys of 32 bytes for another purpose, the newest first. */
  keysFor(purpose: string): Uint8Array[] {
    return this.#keys.map((key) => createHmac('sha256', key).update(purpose).digest());
  }

  /** A string of `[A-Za-z0-9_.-]`, which survives whatever clients do to a query. */
  sign(session: UploadSession, nowMs = Date.now()): string {
    const rested = Math.floor(nowMs / 1000) + SESSION_SECONDS;
    const payload = { ...session, expires: Math.min(rested, session.startedAtSeconds + UPLOAD_SECONDS) };
    const text = Buffer.from(JSON.stringify(payload)).toString('base64url');
    const [key = Buffer.alloc(0)] = this.#keys;
    return `${text}.${signatureOf(text, key).toString('base64url')}`;
  }

  /**
   * @throws RegistryError BLOB_UPLOAD_UNKNOWN if it was not signed here, is another upload's, or has expired
   */
  verify(token: string, repository: RepositoryName, uuid: string, nowMs = Date.now()): UploadSession {
    const [text = '', signature = ''] = token.split('.');
    const actual = Buffer.from(signature, 'base64url');
    const isSigned = this.#keys.some((key) => {
      const expected = signatureOf(text, key);
      return actual.length === expected.length && timingSafeEqual(actual, expected);
    });
    if (!isSigned) throw unknownUpload(uuid);
    const { expires, ...session } = JSON.parse(Buffer.from(text, 'base64url').toString()) as UploadSession & {
      expires: number;
    };
    if (session.repository !== repository || session.uuid !== uuid || expires * 1000 < nowMs) throw unknownUpload(uuid);
    return session;
  }
}

function signatureOf(text: string, key: Buffer): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function unknownUpload(uuid: string): RegistryError {
  return new RegistryError('BLOB_UPLOAD_UNKNOWN', 'this upload is unknown, has ended, or has expired', {
    detail: { uuid },
  });
}

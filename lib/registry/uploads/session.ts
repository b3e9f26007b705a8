// An upload session has no object in storage: its state is signed and travels in the `Location` of each answer, so any
// process with the same secret can continue the upload. It grants the right to write one blob into one repository.
import { RegistryError } from '../../model/errors.ts';
import type { Key } from '../../model/layout.ts';
import type { Digest, DigestAlgorithm, RepositoryName } from '../../model/names.ts';
import { SignedTokens, type SigningKeys } from '../../model/signed-token.ts';
import type { MultipartUpload } from '../../storage/driver.ts';

/** How long a session may be idle between two requests. Each answer renews it. */
export const SESSION_SECONDS = 60 * 60;

/**
 * How long an upload may take in all, and so how long its scraps are kept. It limits the harm of a session URL that leaks,
 * and of a client that has lost the right to push meanwhile.
 */
export const UPLOAD_SECONDS = 24 * 60 * 60;

/** The chunks of an upload that have arrived so far. */
export type ChunkedState = {
  kind: 'chunked';
  sizeBytes: number;
  algorithm: DigestAlgorithm;
  /** The unfinished hash of these bytes: base64url of the state that `hash-wasm` exports. */
  hashState: string;
  /** The last bytes, too few for a part. Their object is written once, and only this session knows its name. */
  scrap?: { uuid: string; sizeBytes: number };
  /** Hashes over the ETags and over the SHA-256 of the parts, in order: a commit takes exactly these parts. */
  multipart?: MultipartUpload & { partCount: number; etagChain: string; sha256Chain: string };
};

export type UploadState =
  | { kind: 'started'; algorithm: DigestAlgorithm }
  /** The whole blob arrived in one request and is stored; only its link is missing. */
  | { kind: 'stored'; sizeBytes: number; digest: Digest; key: Key }
  | ChunkedState;

export type UploadSession = {
  uuid: string;
  repository: RepositoryName;
  /** Origin under which the client reaches the registry; empty if that is the host that takes the bytes. */
  registryUrl: string;
  /** Origin of the host that takes the bytes, if it is another one. */
  uploadOrigin?: string;
  /** Unix time. */
  startedAtSeconds: number;
  state: UploadState;
  /** The caller that started the upload, for the audit log. */
  startedBy?: string;
};

/** Whether the upload has taken longer than it may. @param nowMs Unix time in milliseconds */
export function hasEnded({ startedAtSeconds }: UploadSession, nowMs = Date.now()): boolean {
  return nowMs / 1000 > startedAtSeconds + UPLOAD_SECONDS;
}

export function sizeOf(state: UploadState): number {
  return state.kind === 'started' ? 0 : state.sizeBytes;
}

/** Signs and verifies the state of uploads. */
export class SessionSigner {
  readonly #tokens: SignedTokens;

  constructor(keys: SigningKeys) {
    this.#tokens = new SignedTokens(keys, 'upload session');
  }

  /** A string of `[A-Za-z0-9_.-]`, which no client changes when it edits the query. */
  sign(session: UploadSession, nowMs = Date.now()): string {
    const idleUntil = Math.floor(nowMs / 1000) + SESSION_SECONDS;
    return this.#tokens.sign(session, Math.min(idleUntil, session.startedAtSeconds + UPLOAD_SECONDS));
  }

  /**
   * @throws RegistryError BLOB_UPLOAD_UNKNOWN if the token has expired, was changed, belongs to another upload or repository,
   *   or was not signed by this registry
   */
  verify(token: string, repository: RepositoryName, uuid: string, nowMs = Date.now()): UploadSession {
    const session = this.#tokens.verify(token, nowMs) as UploadSession | undefined;
    if (session?.repository !== repository || session.uuid !== uuid) throw unknownUpload(uuid);
    return session;
  }
}

export function unknownUpload(uuid: string): RegistryError {
  return new RegistryError('BLOB_UPLOAD_UNKNOWN', 'this upload is unknown, has ended, or has expired', {
    detail: { uuid },
  });
}

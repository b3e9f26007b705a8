// The errors of requests for manifests. `lib/http/error-response.ts` gives them their status and body.
import { RegistryError } from '../../model/errors.ts';
import type { Digest, Reference, RepositoryName } from '../../model/names.ts';

export function manifestUnknown(repository: RepositoryName, reference: Reference): RegistryError {
  const message = `manifest ${nameOf(reference)} is unknown to ${repository}`;
  return new RegistryError('MANIFEST_UNKNOWN', message, { detail: reference });
}

/** A blob or child of the manifest is missing. */
export function manifestBlobUnknown(repository: RepositoryName, digest: Digest): RegistryError {
  const message = `${digest} is unknown to ${repository}: push it first`;
  return new RegistryError('MANIFEST_BLOB_UNKNOWN', message, { detail: { digest } });
}

/** A blob or child of the manifest has another size. */
export function wrongSize(digest: Digest, inManifest: number, stored: number): RegistryError {
  const message = `${digest} has ${stored} bytes, the manifest says ${inManifest}`;
  return new RegistryError('MANIFEST_INVALID', message, { detail: { digest, size: stored } });
}

export function preconditionFailed(repository: RepositoryName, reference: Reference): RegistryError {
  const message = `${nameOf(reference)} of ${repository} is not what If-Match or If-None-Match says`;
  return new RegistryError('PRECONDITION_FAILED', message, { detail: reference });
}

function nameOf(reference: Reference): string {
  return 'digest' in reference ? reference.digest : reference.tag;
}

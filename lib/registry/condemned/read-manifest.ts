import { layout } from '../../model/layout.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import type { Bytes } from '../../streams/bytes.ts';
import { type Condemned, decodeStoredManifest } from './condemned.ts';
import { headUnlessGone, readUnlessGone } from './gone.ts';

/** A stored manifest. `info` is that of the object, which is longer than `bytes` where the manifest is condemned. */
export type ReadManifest = { info: ObjectInfo; bytes: Bytes; condemned?: Condemned };

/** A manifest of a repository, live or condemned. One storage request. */
export async function readManifest(
  storage: StorageDriver,
  repository: RepositoryName,
  digest: Digest,
): Promise<ReadManifest | undefined> {
  const object = await readUnlessGone(storage, layout.manifest(repository, digest));
  return object && { info: object.info, ...decodeStoredManifest(object.bytes, digest) };
}

/** Whether a repository holds a manifest, live or condemned. One storage request. */
export async function hasManifest(
  storage: StorageDriver,
  repository: RepositoryName,
  digest: Digest,
): Promise<boolean> {
  return (await headUnlessGone(storage, layout.manifest(repository, digest))) !== undefined;
}

import { encodeText } from '../bytes.ts';
import type { JsonObject } from '../json.ts';
import { layout } from '../layout.ts';
import type { RepositoryName, Tag } from '../names.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { pythonJson } from './python-json.ts';

const PRODUCT = /([^\s/]+)\/([^\s/]+)/g;

/** Names in docker's User-Agent, and what they are called in the object. */
const FIELDS: Record<string, string> = {
  docker: 'docker_version',
  go: 'docker_go_version',
  arch: 'arch',
  kernel: 'kernel',
  os: 'os',
};
const LOWER_CASE_FIELDS = ['arch', 'kernel', 'os'];

/**
 * What pushed a tag, from docker's `docker/1.4.1 go/go1.3.3 kernel/3.18.1 os/linux arch/amd64`. Of a name that occurs
 * twice the last counts; what the header does not name is left out.
 */
export function tagMetadata(userAgent: string, now: Date): JsonObject {
  const metadata: JsonObject = { last_update: Math.floor(now.getTime() / 1000) };
  for (const [, name = '', value = ''] of userAgent.matchAll(PRODUCT)) {
    const field = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
    if (field) metadata[field] = LOWER_CASE_FIELDS.includes(field) ? value.toLowerCase() : value;
  }
  return metadata;
}

/** Writes it beside the tag, and for `latest` as the repository's own. One or two storage requests, side by side. */
export async function putTagMetadata(
  storage: StorageDriver,
  repository: RepositoryName,
  tag: Tag,
  metadata: JsonObject,
): Promise<void> {
  const bytes = encodeText(pythonJson(metadata));
  const options = { contentType: 'application/json' };
  await Promise.all(metadataKeys(repository, tag).map((key) => storage.put(key, bytes, options)));
}

export async function deleteTagMetadata(storage: StorageDriver, repository: RepositoryName, tag: Tag): Promise<void> {
  await Promise.all(metadataKeys(repository, tag).map((key) => storage.delete(key)));
}

function metadataKeys(repository: RepositoryName, tag: Tag) {
  const own = layout.tagJson(repository, tag);
  return [...(own ? [own] : []), ...(tag === 'latest' ? [layout.repositoryJson(repository)] : [])];
}

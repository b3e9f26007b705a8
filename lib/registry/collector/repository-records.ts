import { type Key, layout, parseRepositoryRecord, type RepositoryRecord } from '../../model/layout.ts';
import { isDigest, type RepositoryName } from '../../model/names.ts';
import type { ObjectInfo } from '../../storage/driver.ts';
import { ListedDigests, ListedObjects } from '../inventory/listed-objects.ts';

/** The objects of one repository below `oci/repositories/`, by what they are. */
export type RepositoryRecords = {
  manifests: ListedDigests;
  links: ListedDigests;
  referrers: ListedRecords<'referrer'>;
  history: ListedRecords<'history'>;
  /** Facts and markers of pulls: derived of a manifest, and named by it. */
  derived: ListedRecords<'facts' | 'pull'>;
  /** What the last usage run has found. */
  usage: ObjectInfo[];
  /** Of all these, and of those that the layout does not have. */
  count: number;
};

type Record<Kind extends RepositoryRecord['kind']> = Extract<RepositoryRecord, { kind: Kind }>;

/** Records with what their keys say, in the order of the listing. */
export class ListedRecords<Kind extends RepositoryRecord['kind']> {
  readonly #objects: ListedObjects;

  constructor(repository: RepositoryName) {
    this.#objects = new ListedObjects(layout.ociRepository(repository));
  }

  add(info: ObjectInfo): void {
    this.#objects.add(info);
  }

  get size(): number {
    return this.#objects.size;
  }

  at(index: number): { info: ObjectInfo; record: Record<Kind> } {
    const info = this.#objects.at(index);
    return { info, record: parseRepositoryRecord(info.key) as Record<Kind> };
  }

  *[Symbol.iterator](): Generator<{ info: ObjectInfo; record: Record<Kind> }> {
    for (let index = 0; index < this.size; index++) yield this.at(index);
  }
}

/** @param onUnknown called with each key that the layout does not have */
export async function sortRecords(
  repository: RepositoryName,
  objects: AsyncIterable<ObjectInfo>,
  onUnknown: (key: Key) => void,
): Promise<RepositoryRecords> {
  const records: RepositoryRecords = {
    manifests: new ListedDigests((digest) => layout.manifest(repository, digest)),
    links: new ListedDigests((digest) => layout.blobLink(repository, digest)),
    referrers: new ListedRecords(repository),
    history: new ListedRecords(repository),
    derived: new ListedRecords(repository),
    usage: [],
    count: 0,
  };
  for await (const info of objects) {
    records.count++;
    const record = parseRepositoryRecord(info.key);
    if (!record || ('digest' in record && !isDigest(record.digest))) {
      onUnknown(info.key);
      continue;
    }
    switch (record.kind) {
      case 'manifest':
        records.manifests.add(record.digest, info);
        break;
      case 'link':
        records.links.add(record.digest, info);
        break;
      case 'referrer':
        records.referrers.add(info);
        break;
      case 'history':
        records.history.add(info);
        break;
      case 'facts':
      case 'pull':
        records.derived.add(info);
        break;
      case 'summary':
      case 'shared layers':
        records.usage.push(info);
    }
  }
  return records;
}

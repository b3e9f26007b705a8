import { type Key, parseRepositoryRecord } from '../../model/layout.ts';
import type { Digest } from '../../model/names.ts';
import type { ObjectInfo } from '../../storage/driver.ts';
import type { HistoryEntry } from './roots.ts';

/** The objects of one repository below `oci/repositories/`, by what they are. */
export type RepositoryRecords = {
  manifests: Map<Digest, ObjectInfo>;
  links: Map<Digest, ObjectInfo>;
  referrers: { subject: Digest; digest: Digest; info: ObjectInfo }[];
  history: HistoryEntry[];
  /** Facts and markers of pulls: derived of a manifest, and named by it. */
  derived: { kind: 'facts' | 'pull'; digest: Digest; info: ObjectInfo }[];
  /** What the last usage run has found. */
  usage: ObjectInfo[];
};

/** @param onUnknown called with each key that the layout does not have */
export function sortRecords(objects: readonly ObjectInfo[], onUnknown: (key: Key) => void): RepositoryRecords {
  const records: RepositoryRecords = {
    manifests: new Map(),
    links: new Map(),
    referrers: [],
    history: [],
    derived: [],
    usage: [],
  };
  for (const info of objects) {
    const record = parseRepositoryRecord(info.key);
    switch (record?.kind) {
      case 'manifest':
        records.manifests.set(record.digest, info);
        break;
      case 'link':
        records.links.set(record.digest, info);
        break;
      case 'referrer':
        records.referrers.push({ subject: record.subject, digest: record.digest, info });
        break;
      case 'history':
        records.history.push({ info, move: record.move });
        break;
      case 'facts':
      case 'pull':
        records.derived.push({ kind: record.kind, digest: record.digest, info });
        break;
      case 'summary':
      case 'shared layers':
        records.usage.push(info);
        break;
      case undefined:
        onUnknown(info.key);
    }
  }
  return records;
}

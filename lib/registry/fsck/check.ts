import type { Key } from '../../model/layout.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import type { ListedLink } from '../inventory/link-targets.ts';
import { Spill } from '../inventory/spill.ts';
import type { Findings } from './findings.ts';

/** What waits for the folder of a digest: links, and the markers of images whose layer it is. */
export type DigestUser = ({ kind: 'link' } & ListedLink) | { kind: 'marker'; image: string };

/** What waits for `oci/data/<uuid>`: pointers to it, and links that name it. */
export type DataUser =
  | { kind: 'pointer'; digest: Digest; sizeBytes: number; isMarked: boolean; isLinked: boolean }
  | { kind: 'link'; digest: Digest; sizeBytes: number; repository: RepositoryName; hasPointer: boolean };

/** A tag that names no manifest of its repository: it waits for the image of this id. */
export type ImageUser = { repository: RepositoryName; key: Key; digest: Digest };

/** What a repository holds under a digest or image id, and what is right only if some repository does. */
export type Holding =
  | { kind: 'manifest'; repository: RepositoryName }
  | { kind: 'tag'; repository: RepositoryName; tag: string }
  | { kind: 'grant'; repository: RepositoryName; tag?: string; key: Key }
  | { kind: 'dangling tag'; repository: RepositoryName; key: Key }
  | { kind: 'missing child'; repository: RepositoryName; index: Digest };

/** What all parts of one check share. */
export class Check {
  readonly storage: StorageDriver;
  readonly findings: Findings;
  /** Whether objects are read that listings do not call into question. */
  readonly readsObjects: boolean;
  readonly digestUsers = new Spill<DigestUser>();
  readonly dataUsers = new Spill<DataUser>();
  readonly imageUsers = new Spill<ImageUser>();
  readonly holdings = new Spill<Holding>();
  /** Whether storage has not been brought to layout 2 yet. */
  isOfLayout1 = false;
  readonly #youngerThanMs: number;
  readonly #onObject: () => void;

  /**
   * @param options.minAgeMs younger garbage is not reported: a push may be about to use it
   * @param options.onObject is called for each object of a listing
   */
  constructor(
    storage: StorageDriver,
    findings: Findings,
    { readsObjects, minAgeMs, onObject }: { readsObjects: boolean; minAgeMs: number; onObject: () => void },
  ) {
    this.storage = storage;
    this.findings = findings;
    this.readsObjects = readsObjects;
    this.#youngerThanMs = Date.now() - minAgeMs;
    this.#onObject = onObject;
  }

  /** Counts an object of a listing. */
  see<T>(object: T): T {
    this.#onObject();
    return object;
  }

  isOld({ lastModified }: ObjectInfo): boolean {
    return lastModified.getTime() <= this.#youngerThanMs;
  }

  readonly unknown = async ({ key }: ObjectInfo): Promise<void> => {
    await this.findings.add('unknown-key', key, 'no object of this layout has such a key');
  };

  async close(): Promise<void> {
    for (const spill of [this.digestUsers, this.dataUsers, this.imageUsers, this.holdings]) await spill.close();
  }
}

// Checks that what storage holds fits together. It reads listings, and objects only where a listing does not tell: the memory is
// that of one repository and one 256th of all links.
import type { Key } from '../../model/layout.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../condemned/times.ts';
import type { Manifests } from '../manifests/manifests.ts';
import type { Referrers } from '../manifests/referrers.ts';
import type { Tags } from '../tags/tags.ts';
import { Check } from './check.ts';
import { checkBlobs, checkData } from './check-blobs.ts';
import { type BytesOptions, checkBytes } from './check-bytes.ts';
import { checkHoldings } from './check-holdings.ts';
import { checkImages } from './check-images.ts';
import { checkManifests } from './check-manifests.ts';
import { checkRepositories } from './check-repositories.ts';
import { checkRest } from './check-rest.ts';
import { type Finding, Findings, type RepairMode } from './findings.ts';
import type { FsckLevel } from './levels.ts';
import { checkLayoutRecord, checkOldRecords } from './old-layout.ts';

export type FsckOptions = {
  level?: FsckLevel;
  repair?: RepairMode;
  onFinding: (finding: Finding) => void | Promise<void>;
  /** Called for each object of a listing. */
  onObject?: () => void;
  /** Of level `bytes`. */
  bytes?: BytesOptions;
  /** Whether an index may name children that its repository does not hold. */
  allowsMissingChildren?: boolean;
};

/** `errors` and `warnings` are those that are not repaired. */
export type FsckResult = { errors: number; warnings: number; repaired: number };

export class Fsck {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #manifests: Manifests;
  readonly #referrers: Referrers;
  readonly #times: CollectionTimes;
  readonly #usersKey: Key | undefined;

  /**
   * @param storage without the merge of twice-quoted folders
   * @param options.usersKey the users file, where it lies in this storage
   */
  constructor(
    storage: StorageDriver,
    dependencies: { tags: Tags; manifests: Manifests; referrers: Referrers },
    { times = COLLECTION_TIMES, usersKey }: { times?: CollectionTimes | undefined; usersKey?: Key | undefined } = {},
  ) {
    this.#usersKey = usersKey;
    this.#storage = storage;
    this.#tags = dependencies.tags;
    this.#manifests = dependencies.manifests;
    this.#referrers = dependencies.referrers;
    this.#times = times;
  }

  /**
   * Checks all of storage; a server may run meanwhile. For N objects N / 1,000 storage requests, and one for each finding, each
   * tag and link that its ETag does not tell, and each projection that is not whole.
   */
  async run({
    level = 'structure',
    repair = 'off',
    onFinding,
    onObject = () => {},
    bytes = {},
    allowsMissingChildren = false,
  }: FsckOptions): Promise<FsckResult> {
    const findings = new Findings(repair, onFinding);
    const check = new Check(this.#storage, findings, {
      readsObjects: level !== 'structure',
      minAgeMs: this.#times.minAgeMs,
      onObject,
    });
    try {
      await checkLayoutRecord(check);
      await checkRepositories(check, this.#tags, async (content) => {
        if (level !== 'structure') {
          await checkManifests(check, this.#referrers, content, { allowsMissingChildren });
        }
      });
      await checkImages(check);
      await checkHoldings(check, this.#manifests);
      await checkBlobs(check);
      await checkOldRecords(check);
      await checkData(check);
      await checkRest(check, this.#usersKey);
      if (level === 'bytes') await checkBytes(check, bytes);
      return { ...findings.counts };
    } finally {
      await check.close();
    }
  }
}

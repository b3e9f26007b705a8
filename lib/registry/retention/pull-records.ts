import type { Background } from '../../concurrency/background.ts';
import { DAY_MS } from '../../model/duration.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { repositoriesMatcher } from '../../model/name-pattern.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import { ignoredPullers, type Puller } from './pulling-programs.ts';
import { type RetentionRule, usesPulls } from './rules.ts';

/** Digests whose last pull this process remembers. */
const REMEMBERED = { max: 100_000, ttlMs: DAY_MS };

/**
 * Records when digests were pulled, in repositories where a rule of retention asks for it: at most one object a day for each
 * digest, whose LastModified counts.
 */
export class PullRecords {
  readonly #storage: StorageDriver;
  readonly #background: Background | undefined;
  readonly #isRecorded: (repository: RepositoryName) => boolean;
  readonly #isIgnored: (puller: Puller) => boolean;
  readonly #recent = new LruCache<string, true>(REMEMBERED);

  constructor(
    storage: StorageDriver,
    {
      rules,
      ignored,
      background,
    }: { rules: readonly RetentionRule[]; ignored: readonly string[]; background?: Background | undefined },
  ) {
    this.#storage = storage;
    this.#background = background;
    this.#isRecorded = repositoriesMatcher(repositoriesOf(rules));
    this.#isIgnored = ignoredPullers(ignored);
  }

  /**
   * Notes a pull. Where it is to be recorded, that is done in the background, or else before this resolves. It never fails: a
   * pull is worth more than its record.
   */
  async note(repository: RepositoryName, digest: Digest, puller: Puller): Promise<void> {
    if (!this.#isDue(repository, digest, puller)) return;
    const record = async () => {
      try {
        await this.#record(repository, digest);
      } catch (error) {
        this.#recent.delete(`${repository} ${digest}`);
        throw error;
      }
    };
    if (this.#background) this.#background.run(`pull of ${digest} in ${repository}`, record);
    else await record().catch(() => undefined);
  }

  /** Whether a pull of this digest is to be recorded. */
  #isDue(repository: RepositoryName, digest: Digest, puller: Puller): boolean {
    if (!this.#isRecorded(repository) || this.#isIgnored(puller)) return false;
    const name = `${repository} ${digest}`;
    if (this.#recent.has(name)) return false;
    this.#recent.set(name, true);
    return true;
  }

  /** Records a pull, unless another process has recorded one in the last day. One or two storage requests. */
  async #record(repository: RepositoryName, digest: Digest): Promise<void> {
    const key = layout.lastPulled(repository, digest);
    const before = await this.#storage.head(key);
    if (before && Date.now() - before.lastModified.getTime() < DAY_MS) return;
    await this.#storage.put(key, new Uint8Array());
  }

  /**
   * Since when the pulls are recorded that these rules ask for; recording begins now if it has not begun, or the repositories
   * have changed. One storage request, three if it begins.
   * @returns Unix time in milliseconds; `undefined` if no rule asks for pulls
   */
  async recordedSince(rules: readonly RetentionRule[]): Promise<number | undefined> {
    const key = layout.recordedPulls();
    const repositories = repositoriesOf(rules);
    const before = await this.#storage.read(key);
    if (repositories.length === 0) {
      if (before) await this.#storage.delete(key);
      return undefined;
    }
    const value = before && parseJson(before.bytes);
    const known = isJsonObject(value) && Array.isArray(value.repositories) ? value.repositories : [];
    if (before && repositories.every((pattern) => known.includes(pattern))) return before.info.lastModified.getTime();
    await this.#storage.put(key, encodeText(JSON.stringify({ repositories })), AS_JSON);
    return (await this.#storage.head(key))?.lastModified.getTime();
  }
}

function repositoriesOf(rules: readonly RetentionRule[]): string[] {
  return [...new Set(rules.filter(usesPulls).flatMap(({ repositories }) => repositories))].sort();
}

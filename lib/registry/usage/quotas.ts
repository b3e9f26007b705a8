import { NO_PEERS, type Peers } from '../../concurrency/peers.ts';
import { RegistryError } from '../../model/errors.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import type { Log } from '../../model/log.ts';
import { repositoriesMatcher } from '../../model/name-pattern.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { sizeText } from '../../model/size.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { RepositoryUsage } from './ledger.ts';

/** What all repositories that match may take up together. */
export type Quota = {
  /** Patterns of `repositoriesMatcher`. */
  repositories: readonly string[];
  limitBytes: number;
};

/** `now` in milliseconds, as `Date.now`. */
export type QuotaSettings = { quotas: readonly Quota[]; log: Log; now?: () => number };

/** `oci/quotas.json`: what a usage run counted. `at` in ISO 8601, before the first listing of the run. */
type QuotaRecord = { at: string; quotas: { repositories: readonly string[]; usedBytes: number }[] };

const READ_EVERY_MS = 60_000;
const WARN_EVERY_MS = 60 * 60_000;
const WARN_FROM = 0.8;

/** Blobs that this process has linked and knows by name. Of earlier ones only the sum of their bytes is left. */
const MAX_NAMED = 50_000;

type Linked = { sizeBytes: number; atMs: number };

/** A quota, with what the last run counted and what this process has linked since. */
class QuotaState {
  readonly name: string;
  readonly limitBytes: number;
  readonly matches: (repository: RepositoryName) => boolean;
  warnedAtMs = Number.NEGATIVE_INFINITY;
  #countedBytes = 0;
  #linkedBytes = 0;
  #linked = new Map<string, Linked>();
  #earlier: Linked = { sizeBytes: 0, atMs: 0 };

  constructor({ repositories, limitBytes }: Quota) {
    this.name = nameOf(repositories);
    this.limitBytes = limitBytes;
    this.matches = repositoriesMatcher(repositories);
  }

  get usedBytes(): number {
    return this.#countedBytes + this.#linkedBytes;
  }

  /** Takes what a run counted. Blobs linked before it are part of that. */
  count(countedBytes: number, atMs: number): void {
    this.#countedBytes = countedBytes;
    this.#linked = new Map([...this.#linked].filter(([, linked]) => linked.atMs >= atMs));
    if (this.#earlier.atMs < atMs) this.#earlier = { sizeBytes: 0, atMs: 0 };
    this.#linkedBytes = this.#earlier.sizeBytes + sum([...this.#linked.values()]);
  }

  link(repository: RepositoryName, digest: Digest, linked: Linked): void {
    const name = `${repository}@${digest}`;
    if (this.#linked.has(name)) return;
    this.#linked.set(name, linked);
    this.#linkedBytes += linked.sizeBytes;
    const [oldest] = this.#linked;
    if (this.#linked.size <= MAX_NAMED || !oldest) return;
    const [oldestName, { sizeBytes, atMs }] = oldest;
    this.#linked.delete(oldestName);
    this.#earlier = { sizeBytes: this.#earlier.sizeBytes + sizeBytes, atMs };
  }
}

/**
 * Refuses pushes into repositories that take up too much. The first quota that matches a repository counts for it. What is used is
 * the sum over the repositories, as the last usage run counted it, and the blobs that the workers of this server have linked since
 * then. What other servers link counts from the next run on, and so do layers that v1 clients push.
 */
export class Quotas {
  readonly #storage: StorageDriver;
  readonly #states: readonly QuotaState[];
  readonly #quotas: readonly Quota[];
  readonly #log: Log | undefined;
  readonly #now: () => number;
  readonly #peers: Peers;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  constructor(storage: StorageDriver, settings?: QuotaSettings, peers = NO_PEERS) {
    const { quotas = [], log, now = Date.now } = settings ?? {};
    this.#storage = storage;
    this.#quotas = quotas;
    this.#states = quotas.map((quota) => new QuotaState(quota));
    this.#log = log;
    this.#now = now;
    this.#peers = peers;
    peers.hear('blob linked', ({ repository, digest, ...linked }) =>
      this.#stateOf(repository as RepositoryName)?.link(repository as RepositoryName, digest as Digest, linked),
    );
  }

  /**
   * Before an upload begins. One storage request a minute; none where no quota matches.
   * @throws RegistryError DENIED if nothing is left of the quota
   */
  async checkUpload(repository: RepositoryName): Promise<void> {
    await this.#check(repository, (quota) => quota.usedBytes >= quota.limitBytes);
  }

  /**
   * Before a manifest is stored: its blobs are linked by then, and may have used up the quota exactly. Requests as for an upload.
   * @throws RegistryError DENIED if more than the quota is used
   */
  async checkManifest(repository: RepositoryName): Promise<void> {
    await this.#check(repository, (quota) => quota.usedBytes > quota.limitBytes);
  }

  /** Counts a blob that this process has linked into a repository, once, and tells the other workers. */
  countLink(repository: RepositoryName, { digest, sizeBytes }: { digest: Digest; sizeBytes: number }): void {
    const linked = { sizeBytes, atMs: this.#now() };
    const state = this.#stateOf(repository);
    if (!state) return;
    state.link(repository, digest, linked);
    this.#peers.tell('blob linked', { repository, digest, ...linked });
  }

  /** Stores what a usage run counted, which holds here from the next push on. Without quotas nothing. @param at ISO 8601 */
  async record(at: string, usages: readonly RepositoryUsage[]): Promise<void> {
    if (this.#states.length === 0) return;
    const used = new Map<QuotaState, number>();
    for (const { repository, uniqueBytes, sharedBytes } of usages) {
      const state = this.#stateOf(repository);
      if (state) used.set(state, (used.get(state) ?? 0) + uniqueBytes + sharedBytes);
    }
    const quotas = this.#states.map((state, index) => ({
      repositories: this.#quotas[index]?.repositories ?? [],
      usedBytes: used.get(state) ?? 0,
    }));
    const record: QuotaRecord = { at, quotas };
    await this.#storage.put(layout.quotas(), encodeText(JSON.stringify(record)), AS_JSON);
    this.#readAtMs = Number.NEGATIVE_INFINITY; // the next push reads it
  }

  /** When the quotas were counted last; undefined if one of them was not. One storage request. */
  async countedAt(): Promise<Date | undefined> {
    const { at, used } = (await this.#read()) ?? {};
    return this.#states.every(({ name }) => used?.has(name)) ? at : undefined;
  }

  async #check(repository: RepositoryName, isRefused: (quota: QuotaState) => boolean): Promise<void> {
    const quota = this.#stateOf(repository);
    if (!quota) return;
    await this.#refresh();
    this.#warn(quota);
    if (!isRefused(quota)) return;
    const { name, usedBytes, limitBytes } = quota;
    throw new RegistryError(
      'DENIED',
      `the quota of ${name} is used up: ${sizeText(usedBytes)} of ${sizeText(limitBytes)}; ` +
        'delete tags and wait until the collector has freed their bytes, or ask the operator for a higher quota. ' +
        'Blobs of a refused push count too, until they are deleted or collected and usage is counted again',
      { detail: { quota: name, usedBytes, limitBytes } },
    );
  }

  #warn(quota: QuotaState): void {
    const { name, usedBytes, limitBytes, warnedAtMs } = quota;
    if (usedBytes < WARN_FROM * limitBytes || this.#now() - warnedAtMs < WARN_EVERY_MS) return;
    quota.warnedAtMs = this.#now();
    this.#log?.warning(usedBytes < limitBytes ? 'a quota is nearly used up' : 'a quota is used up', {
      quota: name,
      usedBytes,
      limitBytes,
    });
  }

  #stateOf(repository: RepositoryName): QuotaState | undefined {
    return this.#states.find(({ matches }) => matches(repository));
  }

  /** Requests that come together share one read. */
  async #refresh(): Promise<void> {
    if (this.#now() - this.#readAtMs < READ_EVERY_MS) return;
    this.#reading ??= this.#takeRecord().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  async #takeRecord(): Promise<void> {
    const record = await this.#read();
    this.#readAtMs = this.#now();
    for (const state of this.#states) {
      const usedBytes = record?.used.get(state.name);
      if (record && usedBytes !== undefined) state.count(usedBytes, record.at.getTime());
    }
  }

  /** The bytes used by each quota. Undefined if nothing was counted yet. */
  async #read(): Promise<{ at: Date; used: Map<string, number> } | undefined> {
    const object = await this.#storage.read(layout.quotas());
    const value = object && parseJson(object.bytes);
    if (!isJsonObject(value)) return undefined;
    const { at, quotas } = value as unknown as QuotaRecord;
    return {
      at: new Date(at),
      used: new Map(quotas.map(({ repositories, usedBytes }) => [nameOf(repositories), usedBytes])),
    };
  }
}

function nameOf(repositories: readonly string[]): string {
  return repositories.join(', ');
}

function sum(linked: readonly Linked[]): number {
  return linked.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}

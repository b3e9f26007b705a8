// A bucket as the registry writes it, made without the registry: the tests of the collector need every state of it.
import { randomUUID } from 'node:crypto';
import { digestOf } from '../../../lib/model/content-digest.ts';
import { type Key, type KeyPrefix, layout } from '../../../lib/model/layout.ts';
import { MEDIA_TYPES } from '../../../lib/model/manifest.ts';
import { type Digest, parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { encodeBlobLink } from '../../../lib/registry/blobs/link.ts';
import {
  type CollectionOutcome,
  type CollectOptions,
  Collector,
  type CollectorOptions,
} from '../../../lib/registry/collector/collector.ts';
import type { CollectedKind, CollectorAction } from '../../../lib/registry/collector/report.ts';
import type { RepositoriesStageOptions } from '../../../lib/registry/collector/repositories-stage.ts';
import type { Stage } from '../../../lib/registry/collector/stage.ts';
import { type CollectorStagesOptions, collectorStages } from '../../../lib/registry/collector/stages.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../../../lib/registry/condemned/times.ts';
import { encodeTarget } from '../../../lib/registry/tags/target.ts';
import type { StorageDriver } from '../../../lib/storage/driver.ts';
import { encodeText } from '../../../lib/streams/bytes.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { StorageClock } from '../../storage/storage-clock.ts';

const DAY = 24 * 60 * 60_000;

export type ManifestParts = { blobs?: Digest[]; children?: Digest[]; subject?: Digest; name?: string };

export class Bucket {
  readonly storage: StorageDriver;
  readonly times: CollectionTimes;
  readonly undoMs: number;
  /** Lets time pass, by the clock of storage. */
  readonly pass: (ms: number) => void;
  readonly now: () => Date;

  /** By how much more than a time a test lets pass: the precision of LastModified. */
  readonly slackMs = 2000;

  constructor(storage: StorageDriver, { times, undoMs, pass, now }: Pick<Bucket, 'times' | 'undoMs' | 'pass' | 'now'>) {
    this.storage = storage;
    this.times = times;
    this.undoMs = undoMs;
    this.pass = pass;
    this.now = now;
  }

  static async inMemory(storage = new MemoryStorage()): Promise<Bucket> {
    return await Bucket.#adopted(storage, storage);
  }

  /** Storage with a clock of its own, which the tests set forward beside it. */
  static async withClock(storage: StorageDriver): Promise<Bucket> {
    const clock = new StorageClock(storage);
    return await Bucket.#adopted(clock.driver, clock);
  }

  static async #adopted(storage: StorageDriver, clock: Pick<StorageClock, 'now' | 'pass'>): Promise<Bucket> {
    const pass = (ms: number) => clock.pass(ms);
    const bucket = new Bucket(storage, { times: COLLECTION_TIMES, undoMs: 14 * DAY, pass, now: () => clock.now });
    await bucket.adopt();
    return bucket;
  }

  /** Lets the grace period pass, so that the next run may remove what is condemned now. */
  grace(): void {
    this.pass(this.times.graceMs + this.slackMs);
  }

  /** Lets bytes become old enough to be marked. */
  age(): void {
    this.pass(this.times.minAgeMs + this.slackMs);
  }

  /** So that what was written before has an earlier time than a run that starts now. */
  settle(): void {
    this.pass(this.slackMs);
  }

  async adopt(): Promise<void> {
    await this.put(layout.layoutVersion(), '{"layout": 2, "minWriter": 2}');
  }

  async put(key: Key, text: string | Uint8Array): Promise<void> {
    await this.storage.put(key, typeof text === 'string' ? encodeText(text) : text);
  }

  /** Bytes under a key of their own, with a link in the repository. */
  async blob(repository: string, content: string): Promise<{ digest: Digest; key: Key; link: Key }> {
    const bytes = encodeText(content);
    const digest = digestOf(bytes);
    const key = layout.blobCopy(digest, randomUUID());
    await this.put(key, bytes);
    return { digest, key, link: await this.link(repository, digest, { key, sizeBytes: bytes.length }) };
  }

  /** Bytes under a uuid, with their pointer and no link. */
  async data(content: string): Promise<{ digest: Digest; key: Key; uuid: string; pointer: Key }> {
    const bytes = encodeText(content);
    const digest = digestOf(bytes);
    const uuid = randomUUID();
    const pointer = layout.blobPointer(digest, uuid, bytes.length);
    await this.put(layout.data(uuid), bytes);
    await this.put(pointer, '');
    return { digest, key: layout.data(uuid), uuid, pointer };
  }

  async link(repository: string, digest: Digest, to: { key: Key; sizeBytes: number }): Promise<Key> {
    const key = layout.blobLink(parseRepositoryName(repository), digest);
    await this.put(key, encodeBlobLink(to));
    return key;
  }

  /** A manifest with its referrer entry. */
  async manifest(
    repository: string,
    { blobs = [], children = [], subject, name = '' }: ManifestParts,
  ): Promise<{ digest: Digest; key: Key }> {
    const describe = (mediaType: string) => (digest: Digest) => ({ mediaType, digest, size: 2 });
    const bytes = encodeText(
      JSON.stringify({
        schemaVersion: 2,
        ...(children.length > 0
          ? { mediaType: MEDIA_TYPES.ociIndex, manifests: children.map(describe(MEDIA_TYPES.ociManifest)) }
          : {
              mediaType: MEDIA_TYPES.ociManifest,
              config: describe(MEDIA_TYPES.ociConfig)(blobs[0] ?? digestOf(encodeText('{}'))),
              layers: blobs.slice(1).map(describe('application/vnd.oci.image.layer.v1.tar')),
            }),
        ...(subject && { subject: describe(MEDIA_TYPES.ociManifest)(subject) }),
        annotations: { name },
      }),
    );
    const digest = digestOf(bytes);
    const parsed = parseRepositoryName(repository);
    const key = layout.manifest(parsed, digest);
    await this.put(key, bytes);
    if (subject) {
      const entry = { mediaType: MEDIA_TYPES.ociManifest, digest, size: bytes.length };
      await this.put(layout.referrer(parsed, subject, digest), JSON.stringify(entry));
    }
    return { digest, key };
  }

  async tag(repository: string, tag: string, digest: Digest): Promise<Key> {
    const key = layout.tag(parseRepositoryName(repository), parseTag(tag));
    await this.put(key, encodeTarget(digest));
    return key;
  }

  /** A manifest with one blob, and a tag for it if there is a name. */
  async image(repository: string, content: string, tag?: string) {
    const blob = await this.blob(repository, content);
    const manifest = await this.manifest(repository, { blobs: [blob.digest], name: content });
    if (tag !== undefined) await this.tag(repository, tag, manifest.digest);
    return { blob, manifest };
  }

  /** An entry of a tag's history, written now. */
  async move(repository: string, tag: string, target: Digest | 'deleted', atMs = this.now().getTime()): Promise<Key> {
    const move = { tag: parseTag(tag), atMs, target: target.replace(':', '-') };
    const key = layout.historyEntry(parseRepositoryName(repository), move);
    await this.put(key, '{}');
    return key;
  }

  async keys(): Promise<Key[]> {
    return await Array.fromAsync(this.storage.list('' as KeyPrefix), ({ key }) => key);
  }

  async has(key: Key): Promise<boolean> {
    const object = await this.storage.read(key);
    return object !== undefined && !/^\{"gone"/.test(Buffer.from(object.bytes).toString());
  }

  async isCondemned(key: Key): Promise<boolean> {
    const object = await this.storage.read(key);
    return object !== undefined && Buffer.from(object.bytes).includes('"condemned":{');
  }

  collector(options: Partial<CollectorOptions> & Partial<RepositoriesStageOptions> = {}): Collector {
    const { times, undoMs, now } = this;
    return new Collector(this.storage, { stages: stagesOf({ undoMs, ...options }), times, now, ...options });
  }

  /** A whole run. */
  async collect(options: CollectOptions & Partial<RepositoriesStageOptions> = {}): Promise<CompleteOutcome> {
    const outcome = await this.collector(options).collect({ maxListed: 10_000, ...options });
    if (outcome.kind !== 'complete') throw new Error(JSON.stringify(outcome));
    return outcome as CompleteOutcome;
  }

  /** As many runs as a thing takes to go, each the grace period after the one before. */
  async collectAll(options: Partial<RepositoriesStageOptions> = {}, runs = 5): Promise<void> {
    for (let run = 0; run < runs; run++) {
      await this.collect(options);
      this.grace();
    }
  }
}

type CompleteOutcome = Extract<CollectionOutcome, { report: unknown }>;

export function stagesOf(options: Partial<CollectorStagesOptions>): Stage[] {
  return collectorStages({ undoMs: 14 * DAY, findSources: async () => new Set(), ...options });
}

/** The keys that a run listed with this action. */
export function keysOf({ report }: CompleteOutcome, action: CollectorAction, kind?: CollectedKind): Key[] {
  const actions = report.list?.actions ?? [];
  return actions.filter((item) => item.action === action && (!kind || item.kind === kind)).map(({ key }) => key);
}

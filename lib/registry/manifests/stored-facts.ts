import type { Background } from '../../concurrency/background.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { inTurns } from '../../concurrency/turns.ts';
import type { JsonObject } from '../../model/json.ts';
import { type Key, layout, parseRepositoryRecord } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { type ManifestDocument, parseManifest } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { Blobs } from '../blobs/blobs.ts';
import { readConfig } from '../blobs/read-config.ts';
import { readManifest } from '../condemned/read-manifest.ts';
import type { PushedManifest } from '../tags/pushed-manifest.ts';
import { encodeFacts, factsOf, isInBody, kindIn, type ManifestFacts, type ManifestKind, parseFacts } from './facts.ts';

/** How many children of an index count towards its size. */
const MAX_CHILDREN = 32;

/** Manifests whose facts one reader makes: an index with its children, and theirs. */
const MAX_MADE = 100;

/** Lists of so many platforms are one in memory where they are equal. */
const MAX_SHARED = 8;

/** Manifests whose facts this process has written or seen. */
const REMEMBERED = { max: 20_000 };

/** The facts of each repository's manifests in storage. */
export class FactsStore {
  readonly #storage: StorageDriver;
  readonly #blobs: Blobs;
  readonly #background: Background | undefined;
  readonly #known = new LruCache<string, true>(REMEMBERED);

  constructor(storage: StorageDriver, { blobs, background }: { blobs: Blobs; background: Background | undefined }) {
    this.#storage = storage;
    this.#blobs = blobs;
    this.#background = background;
  }

  /**
   * Records the facts of a manifest that was put, in the background. Without background work they are made when a reader misses
   * them. One storage request, and one for the config of an image or for each child of an index; none for a manifest whose facts
   * this process has recorded before.
   * @param manifest without `config`, its link is read too
   */
  recordLater(
    repository: RepositoryName,
    manifest: Pick<PushedManifest, 'digest' | 'document'> & Partial<PushedManifest>,
  ): void {
    const { digest, document, config = () => this.#readConfig(repository, document) } = manifest;
    const name = `${repository} ${digest}`;
    if (this.#known.has(name)) return;
    this.#background?.run(`facts of ${repository}@${digest}`, async () => {
      const findChild = (child: Digest) => this.#findStored(repository, child);
      await this.#write(repository, digest, await this.#derive(document, config, findChild));
    });
  }

  /**
   * The facts of a manifest; made if they are missing, with those of the children of an index. One storage request; for each
   * manifest whose facts are made, one for the manifest and those of `recordLater`. One reader makes those of 100 manifests. Without the
   * others the facts of an index are not stored: the next reader goes on.
   * @returns `undefined` if the repository does not hold the manifest
   */
  async find(repository: RepositoryName, digest: Digest): Promise<ManifestFacts | undefined> {
    const known = new Map<Digest, Promise<ManifestFacts | undefined>>();
    // Each child once: a few indexes that list each other many times lead to one image by millions of ways.
    let madeCount = 0;
    const findOnce = (child: Digest): Promise<ManifestFacts | undefined> => {
      const found = known.get(child) ?? this.#find(repository, child, options);
      known.set(child, found);
      return found;
    };
    const options = {
      findChild: findOnce,
      mayMake: () => madeCount++ < MAX_MADE,
      isWhole: () => madeCount <= MAX_MADE,
    };
    return await findOnce(digest);
  }

  async #find(
    repository: RepositoryName,
    digest: Digest,
    {
      findChild,
      mayMake,
      isWhole,
    }: {
      findChild: (digest: Digest) => Promise<ManifestFacts | undefined>;
      mayMake: () => boolean;
      isWhole: () => boolean;
    },
  ): Promise<ManifestFacts | undefined> {
    const stored = await this.#findStored(repository, digest);
    if (stored || !mayMake()) return stored;
    const manifest = await readManifest(this.#storage, repository, digest);
    if (!manifest) return undefined;
    // A manifest names its children by their digests, so this ends.
    const document = parseManifest(manifest.bytes);
    const facts = await this.#derive(document, () => this.#readConfig(repository, document), findChild);
    if (document.manifests.length > 0 && !isWhole()) return facts;
    // A reader has the facts also where nothing can be written now, as in a read-only registry; the next one makes them again.
    await this.#write(repository, digest, facts).catch(() => undefined);
    return facts;
  }

  /** The facts of all manifests that have any. One storage request per 1,000, and one for each that does not fit into a name. */
  async all(repository: RepositoryName): Promise<Map<Digest, ManifestFacts>> {
    const found: { key: Key; digest: Digest; name: string }[] = [];
    for await (const { key } of this.#storage.list(layout.repositoryFacts(repository))) {
      const record = parseRepositoryRecord(key);
      if (record?.kind === 'facts') found.push({ key, digest: record.digest, name: record.name });
    }
    const known = new Map<Digest, ManifestFacts>();
    const shared = new Map<string, string[]>(); // most manifests of a repository have the same platforms
    for await (const group of inTurns(found)) {
      await mapConcurrently(group, async ({ key, digest, name }) => {
        const facts = await this.#parse(key, name);
        if (!facts) return;
        if (facts.platforms.length <= MAX_SHARED) {
          const list = facts.platforms.join();
          facts.platforms = shared.get(list) ?? facts.platforms;
          shared.set(list, facts.platforms);
        }
        known.set(digest, facts);
      });
    }
    return known;
  }

  /** The kinds of all manifests that have facts. One storage request per 1,000. */
  async kinds(repository: RepositoryName): Promise<Map<Digest, ManifestKind>> {
    const kinds = new Map<Digest, ManifestKind>();
    for await (const { key } of this.#storage.list(layout.repositoryFacts(repository))) {
      const record = parseRepositoryRecord(key);
      const kind = record?.kind === 'facts' && kindIn(record.name);
      if (kind) kinds.set(record.digest, kind);
    }
    return kinds;
  }

  async #findStored(repository: RepositoryName, digest: Digest): Promise<ManifestFacts | undefined> {
    for await (const { key } of this.#storage.list(layout.manifestFacts(repository, digest))) {
      const record = parseRepositoryRecord(key);
      const facts = record?.kind === 'facts' ? await this.#parse(key, record.name) : undefined;
      if (facts) return facts;
    }
    return undefined;
  }

  async #parse(key: Key, name: string): Promise<ManifestFacts | undefined> {
    const body = isInBody(name) ? (await this.#storage.read(key))?.bytes : undefined;
    return parseFacts({ name, body: body ?? new Uint8Array() });
  }

  async #derive(
    document: ManifestDocument,
    readConfig: () => Promise<JsonObject | undefined>,
    findChild: (digest: Digest) => Promise<ManifestFacts | undefined>,
  ): Promise<ManifestFacts> {
    const config = await readConfig();
    const children = await mapConcurrently(document.manifests.slice(0, MAX_CHILDREN), ({ digest }) =>
      findChild(digest),
    );
    return factsOf(document, { ...(config && { config }), children: children.filter((facts) => facts !== undefined) });
  }

  async #readConfig(repository: RepositoryName, { config }: ManifestDocument): Promise<JsonObject | undefined> {
    if (!config?.mediaType.endsWith('json')) return undefined;
    const link = await this.#blobs.find(repository, config.digest);
    return link && (await readConfig(this.#blobs, link));
  }

  async #write(repository: RepositoryName, digest: Digest, facts: ManifestFacts): Promise<void> {
    const { name, body } = encodeFacts(facts);
    await this.#storage.put(layout.facts(repository, digest, name), body, { ifAbsent: true });
    this.#known.set(`${repository} ${digest}`, true);
  }
}

import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { subjectOfTag } from '../../model/attached-tag.ts';
import { layout, parseRepositoryRecord } from '../../model/layout.ts';
import { MAX_INDEX_DEPTH, parseManifest } from '../../model/manifest.ts';
import type { Digest, RepositoryName, Tag } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { TagHistory } from '../history/tag-history.ts';
import { isChildless, type ManifestKind } from '../manifests/facts.ts';
import type { FactsStore } from '../manifests/stored-facts.ts';
import type { StoredManifests } from '../manifests/stored-manifests.ts';
import type { Tags } from '../tags/tags.ts';
import { encodeMoveTarget, type ResolvedTag } from '../tags/target.ts';
import { type AttachedTag, type AttachedVerdict, decideAttached } from './attached-tags.ts';
import { type Clock, decide, type TagFacts, type Verdict } from './decide.ts';
import type { ImageExpiries } from './image-expiry.ts';
import { type TagRule, tagMatcherOf, usesPulls } from './rules.ts';

/** A tag with what the rules say of it. */
export type JudgedTag = { resolved: ResolvedTag; verdict: Verdict };

/** Applies the rules to the tags of a repository as they are in storage. */
export class TagPlanner {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #history: TagHistory;
  readonly #stored: StoredManifests;
  readonly #facts: FactsStore;
  readonly #expiries: ImageExpiries;

  constructor(
    storage: StorageDriver,
    dependencies: {
      tags: Tags;
      history: TagHistory;
      stored: StoredManifests;
      facts: FactsStore;
      expiries: ImageExpiries;
    },
  ) {
    this.#storage = storage;
    this.#tags = dependencies.tags;
    this.#history = dependencies.history;
    this.#stored = dependencies.stored;
    this.#facts = dependencies.facts;
    this.#expiries = dependencies.expiries;
  }

  /**
   * The verdicts on all tags of a repository; attached tags come last. One storage request per 1,000 tags and per 1,000 moves in
   * the history, those of `TagResolver`, one per 1,000 pulled digests where a rule asks for pulls, those of `ImageExpiries` for
   * each tag where a rule asks for expiries; where attached tags do not name a tagged manifest, one per 1,000 manifests with facts,
   * and one for each index and each manifest without facts.
   * @param rules those that match the repository
   */
  async judge(repository: RepositoryName, rules: readonly TagRule[], clock: Clock): Promise<JudgedTag[]> {
    const all = await this.#tags.resolveAll(repository);
    const isAttached = ({ tag }: ResolvedTag) => subjectOfTag(tag) !== undefined;
    const ordinary = all.filter((tag) => !isAttached(tag));
    const attached = all.filter(isAttached);
    const facts = await this.#factsOf(repository, ordinary, rules);
    const verdicts = decide(rules, facts, clock);
    const staying = ordinary.filter(({ tag }) => verdicts.get(tag)?.keep);
    const deleted = ordinary.filter(({ tag }) => !verdicts.get(tag)?.keep);
    const ofAttached = await this.judgeAttached(repository, { attached, staying, deleted, nowMs: clock.nowMs });
    return [...ordinary, ...attached].flatMap((resolved) => {
      const verdict = verdicts.get(resolved.tag) ?? ofAttached.get(resolved.tag);
      return verdict ? [{ resolved, verdict }] : [];
    });
  }

  async #factsOf(
    repository: RepositoryName,
    tags: readonly ResolvedTag[],
    rules: readonly TagRule[],
  ): Promise<TagFacts[]> {
    const asksForExpiry = rules.filter((rule) => 'expires' in rule).map(tagMatcherOf);
    const [moves, pulls, expiries] = await Promise.all([
      this.#timesOfMoves(repository, tags),
      rules.some(usesPulls) ? this.#lastPulls(repository) : new Map<Digest, number>(),
      mapConcurrently(tags, async ({ tag, target }) =>
        asksForExpiry.some((matches) => matches(tag)) ? await this.#expiries.find(repository, target) : undefined,
      ),
    ]);
    return tags.map(({ tag, target, lastModified }, index) => {
      const expiresAfterMs = expiries[index];
      const lastPulledAtMs = pulls.get(target.digest);
      return {
        tag,
        movedAtMs: moves[index] || lastModified.getTime(),
        isImmutable: this.#tags.isImmutable(repository, tag),
        ...(expiresAfterMs !== undefined && { expiresAfterMs }),
        ...(lastPulledAtMs !== undefined && { lastPulledAtMs }),
      };
    });
  }

  /** When each tag began to name what it names, in milliseconds of Unix time; 0 where its history does not say. */
  async #timesOfMoves(repository: RepositoryName, tags: readonly ResolvedTag[]): Promise<Float64Array> {
    const indexes = new Map(tags.map(({ tag }, index) => [tag, index]));
    const times = new Float64Array(tags.length);
    for await (const { tag, target, atMs } of this.#history.newestOfEachTag(repository)) {
      const index = indexes.get(tag) ?? -1;
      const resolved = tags[index];
      if (resolved && encodeMoveTarget(resolved.target) === target) times[index] = atMs;
    }
    return times;
  }

  async #lastPulls(repository: RepositoryName): Promise<Map<Digest, number>> {
    const pulls = new Map<Digest, number>();
    for await (const { key, lastModified } of this.#storage.list(layout.repositoryPulls(repository))) {
      const record = parseRepositoryRecord(key);
      if (record?.kind === 'pull') pulls.set(record.digest, lastModified.getTime());
    }
    return pulls;
  }

  /**
   * The verdicts on attached tags, which follow their images.
   * @param staying the other tags of the repository that stay
   * @param deleted those that do not
   */
  async judgeAttached(
    repository: RepositoryName,
    {
      attached,
      staying,
      deleted,
      nowMs,
    }: {
      attached: readonly ResolvedTag[];
      staying: readonly ResolvedTag[];
      deleted: readonly ResolvedTag[];
      nowMs: number;
    },
  ): Promise<Map<Tag, AttachedVerdict>> {
    if (attached.length === 0) return new Map();
    const tags = attached.flatMap(({ tag, target, lastModified }): AttachedTag[] => {
      const subject = subjectOfTag(tag);
      const isImmutable = this.#tags.isImmutable(repository, tag);
      const movedAtMs = lastModified.getTime();
      return subject === undefined ? [] : [{ tag, subject, target: target.digest, movedAtMs, isImmutable }];
    });
    let listed: Promise<ReadonlyMap<Digest, ManifestKind>> | undefined;
    const kinds = () => (listed ??= this.#facts.kinds(repository));
    const reached = {
      fromStaying: await this.#reach(repository, staying, { attached: tags, kinds }),
      fromDeleted: await this.#reach(repository, deleted, { attached: tags, kinds }),
    };
    const isHeld = (digest: Digest) => this.#stored.has(repository, digest);
    return await decideAttached(tags, { reached, isHeld, nowMs });
  }

  /**
   * The manifests that the tags name, directly or through an index. Indexes are read only for a subject that no tag names.
   * @param kinds is called only then
   */
  async #reach(
    repository: RepositoryName,
    from: readonly ResolvedTag[],
    { attached, kinds }: { attached: readonly AttachedTag[]; kinds: () => Promise<ReadonlyMap<Digest, ManifestKind>> },
  ): Promise<Set<Digest>> {
    const reached = new Set(from.map(({ target }) => target.digest));
    let level = [...reached];
    for (let depth = 0; depth < MAX_INDEX_DEPTH && level.length > 0; depth++) {
      if (attached.every(({ subject }) => reached.has(subject))) break;
      const known = await kinds();
      const read = level.filter((digest) => !isChildless(known.get(digest)));
      const children = await mapConcurrently(read, async (digest) => {
        const manifest = await this.#stored.find(repository, digest);
        if (!manifest) return [];
        const document = parseManifest(manifest.bytes);
        if (!known.has(digest)) this.#facts.recordLater(repository, { digest, document });
        return document.manifests.map((child) => child.digest);
      });
      level = children.flat().filter((digest) => !reached.has(digest));
      for (const digest of level) reached.add(digest);
    }
    return reached;
  }
}

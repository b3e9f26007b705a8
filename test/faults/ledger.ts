// What the registry has acknowledged, so what it must show from then on.
import assert from 'node:assert/strict';
import { ABSENT, History } from './history.ts';
import type { Inspector } from './inspector.ts';

/** `repository@digest` */
export type InRepository = string;

export class Ledger {
  readonly #blobs = new Set<InRepository>();
  readonly #manifests = new Set<InRepository>();
  /** By id, with the sum over JSON and layer. */
  readonly #images = new Map<string, string>();
  readonly #tags = new Map<string, History>();

  blob(repository: string, digest: string): void {
    this.#blobs.add(`${fullName(repository)}@${digest}`);
  }

  manifest(repository: string, digest: string): void {
    this.#manifests.add(`${fullName(repository)}@${digest}`);
  }

  /** @param sum over the JSON and layer of a v1 image */
  image(id: string, sum: string): void {
    this.#images.set(id, sum);
  }

  get imageIds(): string[] {
    return [...this.#images.keys()];
  }

  /** What was done to a tag. Its values are 64 hex digits, in v1 and v2 alike. */
  tag(repository: string, tag: string): History {
    const name = `${fullName(repository)}:${tag}`;
    const history = this.#tags.get(name) ?? new History();
    this.#tags.set(name, history);
    return history;
  }

  get size(): { blobs: number; manifests: number; images: number; tags: number } {
    return {
      blobs: this.#blobs.size,
      manifests: this.#manifests.size,
      images: this.#images.size,
      tags: this.#tags.size,
    };
  }

  /** @throws AssertionError if something that is shown is not whole, or something that was acknowledged is not shown */
  async assertShownBy(inspector: Inspector): Promise<void> {
    const reads = [...this.#tags].map(([name, history]) => ({ name, end: history.beginRead() }));
    const shown = await inspector.inspect();
    for (const { name, end } of reads) end(shown.tags.get(name) ?? ABSENT);
    assert.deepEqual(missing(this.#blobs, shown.blobs), [], 'blobs that were acknowledged');
    assert.deepEqual(missing(this.#manifests, shown.manifests), [], 'manifests that were acknowledged');
    assert.deepEqual(
      missing(
        [...this.#images].map(([id, sum]) => `${id} ${sum}`),
        shown.images,
      ),
      [],
      'images that were acknowledged',
    );
    for (const [name, history] of this.#tags) assert.equal(history.contradiction(), undefined, name);
  }
}

function missing(acknowledged: Iterable<string>, shown: ReadonlySet<string>): string[] {
  return [...acknowledged].filter((name) => !shown.has(name));
}

/** One component alone lies in `library`. */
function fullName(repository: string): string {
  return repository.includes('/') ? repository : `library/${repository}`;
}

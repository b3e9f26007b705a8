// Pushes as clients do them, from the first blob to the tag. Each can be run again after it broke off, as users do.

import { payloadSum, type V1Image } from '../support/v1-client.ts';
import { digestOf } from '../v2/client.ts';
import { BLOB_ROUTES, BlobPush, type BlobRoute } from './blob-push.ts';
import { type Content, newConfig, newLayer, OCI_INDEX, OCI_MANIFEST } from './content.ts';
import { exchange, type Send } from './exchange.ts';
import type { Ledger } from './ledger.ts';
import type { Random } from './random.ts';

export interface Push {
  readonly repository: string;
  /** One of those that name it in the end. */
  readonly tag: string;
  /** Whether all of it was acknowledged. */
  readonly isDone: boolean;
  /** About how many requests it takes. */
  readonly requests: number;
  /** @throws Refusal, or what `send` throws; then it may be run again */
  run(send: Send, ledger: Ledger): Promise<void>;
}

export type V2PushOptions = {
  repository: string;
  tags: readonly string[];
  layerSizes: readonly number[];
  /** How the layers go; each by another route if absent. */
  route?: BlobRoute;
  /** Layers that were made before: the same bytes may be on their way to other repositories. */
  sharedLayers?: readonly Content[];
  /** `digest`: the manifest is put by its digest, with the tags in the query. `index`: the tags name an index of it. */
  by?: 'tag' | 'digest' | 'index';
};

type Document = { digest: string; bytes: Buffer<ArrayBuffer> };

/** An image by v2: blobs side by side, then the manifest, then what else names it. */
export class V2Push implements Push {
  readonly repository: string;
  readonly tag: string;
  readonly #tags: readonly string[];
  readonly #config: BlobPush;
  readonly #layers: readonly BlobPush[];
  readonly #by: 'tag' | 'digest' | 'index';
  #runs = 0;
  #isDone = false;

  constructor(random: Random, { repository, tags, layerSizes, route, sharedLayers = [], by = 'tag' }: V2PushOptions) {
    const layers = [...sharedLayers, ...layerSizes.map((sizeBytes) => newLayer(random, sizeBytes))];
    const push = (content: Content, how: BlobRoute) => new BlobPush(random, repository, content, how);
    this.repository = repository;
    this.tag = tags[0] ?? '';
    this.#tags = tags;
    this.#by = by;
    this.#config = push(newConfig(random, layers.length), 'put');
    this.#layers = layers.map((layer) => push(layer, route ?? random.pick(BLOB_ROUTES)));
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get requests(): number {
    return 3 * (this.#layers.length + 1) + this.#tags.length;
  }

  async run(send: Send, ledger: Ledger): Promise<void> {
    this.#runs++;
    await allEnded([this.#config, ...this.#layers].map((blob) => blob.run(send, ledger)));
    const image = this.#image();
    if (this.#by === 'tag') {
      for (const tag of this.#tags) await this.#put(send, ledger, OCI_MANIFEST, image, [tag]);
    } else if (this.#by === 'digest') {
      await this.#put(send, ledger, OCI_MANIFEST, image, this.#tags, image.digest);
    } else {
      await this.#put(send, ledger, OCI_MANIFEST, image, [], image.digest);
      const child = { mediaType: OCI_MANIFEST, digest: image.digest, size: image.bytes.length };
      const index = documentOf({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] });
      for (const tag of this.#tags) await this.#put(send, ledger, OCI_INDEX, index, [tag]);
    }
    this.#isDone = true;
  }

  /** Different in each run, so that no tag gets the same value twice and each read identifies one write. */
  #image(): Document {
    return documentOf({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: this.#config.descriptor,
      layers: this.#layers.map(({ descriptor }) => descriptor),
      annotations: { run: String(this.#runs) },
    });
  }

  /** @param reference the digest, or else the only one of the tags */
  async #put(
    send: Send,
    ledger: Ledger,
    mediaType: string,
    { digest, bytes }: Document,
    tags: readonly string[],
    reference?: string,
  ): Promise<void> {
    const acknowledge = tags.map((tag) => ledger.tag(this.repository, tag).beginWrite(digest.slice('sha256:'.length)));
    const query = reference ? `?${tags.map((tag) => `tag=${tag}`).join('&')}` : '';
    const path = `/v2/${this.repository}/manifests/${reference ?? tags[0]}${query}`;
    await exchange(send, [201], 'PUT', path, { body: bytes, headers: { 'Content-Type': mediaType } });
    for (const end of acknowledge) end();
    ledger.manifest(this.repository, digest);
  }
}

function documentOf(value: object): Document {
  const bytes = Buffer.from(JSON.stringify(value));
  return { digest: digestOf(bytes), bytes };
}

/** A chain by v1, with the calls of docker in their order; the tag names the top. */
export class V1Push implements Push {
  readonly repository: string;
  readonly tag: string;
  readonly #images: readonly V1Image[];
  #acknowledgeTag: (() => void) | undefined;
  #isDone = false;

  /** @param images base first, at least one */
  constructor(repository: string, tag: string, images: readonly V1Image[]) {
    this.repository = repository;
    this.tag = tag;
    this.#images = images;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  get requests(): number {
    return 4 * this.#images.length + 3;
  }

  async run(send: Send, ledger: Ledger): Promise<void> {
    const list = JSON.stringify(this.#images.map(({ id }) => ({ id })));
    await exchange(send, [200], 'PUT', `/v1/repositories/${this.repository}/`, { body: list });
    for (const image of this.#images) await this.#putImage(send, ledger, image);

    const top = this.#images.at(-1)?.id ?? '';
    // The only value that this tag ever gets, so that it makes no difference which run has set it.
    this.#acknowledgeTag ??= ledger.tag(this.repository, this.tag).beginWrite(top);
    const path = `/v1/repositories/${this.repository}/tags/${this.tag}`;
    await exchange(send, [200], 'PUT', path, { body: JSON.stringify(top) });
    this.#acknowledgeTag();

    await exchange(send, [204], 'PUT', `/v1/repositories/${this.repository}/images`, { body: '[]' });
    this.#isDone = true;
  }

  async #putImage(send: Send, ledger: Ledger, { id, json, layer }: V1Image): Promise<void> {
    const path = `/v1/images/${id}`;
    const sum = payloadSum(json, layer);
    // 400 while it is being uploaded: an earlier run broke off.
    const { status } = await exchange(send, [200, 404, 400], 'GET', `${path}/json`);
    if (status !== 200) {
      await exchange(send, [200], 'PUT', `${path}/json`, { body: new Uint8Array(json) });
      await exchange(send, [200], 'PUT', `${path}/layer`, { body: ReadableStream.from([layer]) });
      await exchange(send, [200], 'PUT', `${path}/checksum`, { headers: { 'X-Docker-Checksum-Payload': sum } });
    }
    ledger.image(id, sum);
  }
}

/** Like `Promise.all`, but nothing goes on behind it: all have ended when it fails. */
export async function allEnded(tasks: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(tasks)) {
    if (result.status === 'rejected') throw result.reason;
  }
}

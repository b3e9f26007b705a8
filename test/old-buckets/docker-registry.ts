// The reading side of a standalone docker-registry: what it would answer from the objects of a bucket. A bucket that this
// reader accepts can be served by docker-registry again.

import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { readAll } from '../../lib/streams/bytes.ts';
import { simpleSum, tarSum } from './checksums.ts';
import { type DockerRegistryVersion, Keys } from './keys.ts';

/** An answer that is not 200. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(`${status} ${message}`);
    this.status = status;
  }
}

export type ServedImage = { id: string; json: Buffer; layer: Buffer; checksums: string[] };

const IMAGE_ID = /^(?:[a-f0-9]{16}|[a-f0-9]{64})$/;

export class DockerRegistry {
  readonly #storage: StorageDriver;
  readonly #keys: Keys;

  /** @param version 0.6.5 and 0.9.1 quote nested names differently: `b%2Fc` and `b%252Fc` */
  constructor(storage: StorageDriver, version: DockerRegistryVersion = '0.9.1') {
    this.#storage = storage;
    this.#keys = new Keys(version);
  }

  /** The repositories that its search finds: folders two levels below `repositories/`. */
  async repositories(): Promise<string[]> {
    const names = (await this.#list('repositories/')).map((key) => this.#keys.repositoryOf(key));
    return [...new Set(names.filter((name) => name !== undefined))].sort();
  }

  /** GET …/tags. Unlike the real one, without metadata that has the key of a tag (`tag_x_json` of tag `_x`). */
  async tags(repository: string): Promise<Record<string, string>> {
    const keys = await this.#list(this.#keys.repository(repository));
    if (keys.length === 0) throw new RefusedError(404, 'Repository not found');
    const tags: Record<string, string> = {};
    for (const key of keys) {
      const tag = this.#keys.tagOf(key);
      const content = tag === undefined ? undefined : (await this.#read(key))?.toString();
      if (tag !== undefined && content !== undefined && IMAGE_ID.test(content)) tags[tag] = content;
    }
    return tags;
  }

  /** GET …/tags/<tag> */
  async tag(repository: string, tag: string): Promise<string> {
    return (await this.#required(this.#keys.tag(repository, tag), 'Tag not found')).toString();
  }

  /** GET …/images: the ids. */
  async index(repository: string): Promise<string[]> {
    const bytes = await this.#required(this.#keys.repository(repository, '_index_images'), 'images not found');
    return (JSON.parse(bytes.toString()) as { id: string }[]).map(({ id }) => id);
  }

  /** GET …/<id>/ancestry: this image first. */
  async ancestry(id: string): Promise<string[]> {
    const bytes = await this.#ofImage(id, 'ancestry');
    return JSON.parse(bytes.toString()) as string[];
  }

  /** GET …/<id>/json, with the values of its headers. */
  async json(id: string): Promise<{ bytes: Buffer; checksums: string[]; layerSizeBytes: number | undefined }> {
    const bytes = await this.#ofImage(id, 'json');
    const layer = await this.#storage.head(this.#keys.image(id, 'layer') as Key);
    return { bytes, checksums: await this.#checksums(id), layerSizeBytes: layer?.sizeBytes };
  }

  /** GET …/<id>/layer */
  async layer(id: string): Promise<Buffer> {
    return await this.#ofImage(id, 'layer');
  }

  /**
   * Pulls one image as Docker does, and checks it: the checksums match, the JSON has this id, and the ancestry is the id
   * followed by the parent's ancestry.
   */
  async image(id: string): Promise<ServedImage> {
    const { bytes: json, checksums, layerSizeBytes } = await this.json(id);
    const layer = await this.layer(id);
    const fields = JSON.parse(json.toString()) as { id?: string; parent?: string };
    const fail = (reason: string) => {
      throw new Error(`image ${id}: ${reason}`);
    };
    if (fields.id !== id) fail(`the JSON is that of ${fields.id}`);
    const expected = fields.parent ? [id, ...(await this.ancestry(fields.parent))] : [id];
    const ancestry = await this.ancestry(id);
    if (ancestry.join() !== expected.join()) fail(`the ancestry is ${ancestry.join()}, not ${expected.join()}`);
    if (layerSizeBytes !== layer.length)
      fail(`X-Docker-Size is ${layerSizeBytes}, the layer has ${layer.length} bytes`);
    for (const sum of checksums) {
      const actual = sum.startsWith('tarsum+') ? tarSum(json, layer) : simpleSum(json, layer);
      if (sum !== actual) fail(`_checksum has ${sum}, which should be ${actual}`);
    }
    return { id, json, layer, checksums };
  }

  /** `docker pull` of one tag: its images, base first. */
  async pull(repository: string, tag: string): Promise<ServedImage[]> {
    await this.index(repository);
    const ancestry = await this.ancestry(await this.tag(repository, tag));
    const images: ServedImage[] = [];
    for (const id of ancestry.toReversed()) images.push(await this.image(id));
    return images;
  }

  /** Pulls every tag of every repository. @returns the number of tags by repository @throws at the first failure */
  async pullEverything(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const repository of await this.repositories()) {
      const tags = Object.keys(await this.tags(repository));
      for (const tag of tags) await this.pull(repository, tag);
      counts[repository] = tags.length;
    }
    return counts;
  }

  async #ofImage(id: string, object: string): Promise<Buffer> {
    if (!IMAGE_ID.test(id)) throw new RefusedError(404, 'Invalid image ID');
    if (await this.#storage.head(this.#keys.image(id, '_inprogress') as Key)) {
      throw new RefusedError(400, 'Image is being uploaded, retry later');
    }
    return await this.#required(this.#keys.image(id, object), 'Image not found');
  }

  /** In each historic format: a JSON array, or one bare sum, with or without a newline. */
  async #checksums(id: string): Promise<string[]> {
    const text = (await this.#read(this.#keys.image(id, '_checksum')))?.toString().trim();
    if (text === undefined) return [];
    return text.startsWith('[') ? (JSON.parse(text) as string[]) : [text];
  }

  async #required(key: string, message: string): Promise<Buffer> {
    const content = await this.#read(key);
    if (!content) throw new RefusedError(404, message);
    return content;
  }

  async #read(key: string): Promise<Buffer | undefined> {
    const object = await this.#storage.get(key as Key);
    return object && Buffer.from(await readAll(object.body));
  }

  async #list(prefix: string): Promise<string[]> {
    return (await Array.fromAsync(this.#storage.list(prefix as KeyPrefix))).map(({ key }) => key);
  }
}

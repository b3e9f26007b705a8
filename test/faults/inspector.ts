// Reads everything that a registry shows, down to the last byte, and holds it against its digests and against what lies in
// storage. What was found right is not read again until it changes.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mapConcurrently } from '../../lib/concurrency/map-concurrently.ts';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import type { ObjectInfo, StorageDriver } from '../../lib/storage/driver.ts';
import { readAll } from '../../lib/streams/bytes.ts';
import { digestOf } from '../v2/client.ts';
import { type Answer, exchange, type Send } from './exchange.ts';

/** All that a registry shows and that is whole. */
export type Shown = {
  /** By `repository:tag` 64 hex digits: those of a manifest's digest, or the id of a v1 image. */
  tags: ReadonlyMap<string, string>;
  /** `repository@digest` */
  manifests: ReadonlySet<string>;
  blobs: ReadonlySet<string>;
  /** `id sum`, where the sum is that of docker over JSON and layer. */
  images: ReadonlySet<string>;
};

type Descriptor = { digest: string; size: number };
type Manifest = { config?: Descriptor; layers?: Descriptor[]; manifests?: Descriptor[] };

const AT_ONCE = 8;

/** What may lie in storage; `(?<ns>)` and `(?<part>)` are the two folders of a repository. */
const REPOSITORY = '(?<ns>[^/]+)/(?<part>[^/]+)';
const KEYS = {
  tag: new RegExp(`^repositories/${REPOSITORY}/tag_(?<tag>[^/]+)$`),
  repositoryJson: new RegExp(`^repositories/${REPOSITORY}/(?:tag[^/]+_json|json|_index_images)$`),
  manifest: new RegExp(`^oci/repositories/${REPOSITORY}/manifests/sha256/(?<hex>[0-9a-f]{64})$`),
  blobLink: new RegExp(`^oci/repositories/${REPOSITORY}/blobs/sha256/(?<hex>[0-9a-f]{64})$`),
  referrer: new RegExp(`^oci/repositories/${REPOSITORY}/referrers/sha256/[0-9a-f]{64}/[0-9a-f]{64}$`),
  besideManifests: new RegExp(
    `^oci/repositories/${REPOSITORY}/(?:(?:history|facts)/[^/]+/[^/]+|pulled/[^/]+|summary\\.json)$`,
  ),
  imagePart: /^images\/(?<id>[0-9a-f]{64})\/(?<name>json|layer|ancestry|_checksum|_inprogress)$/,
  ociImagePart:
    /^oci\/images\/(?<id>[0-9a-f]{64})\/(?<name>layer\.json|manifest\.json|view\.json|(?:view|repositories)\/[^/]+(?:\/[^/]+){1,2}|(?:pushers|sources)\/[^/]+|pushes\/[^/]+\/[0-9a-f]{64}(?:\.[0-9a-f]{64})?|condemned\.json|blobs\/sha256\/[0-9a-f]{64})$/,
  copy: /^oci\/blobs\/sha256\/(?<hex>[0-9a-f]{64})\/copy-[0-9a-f-]{36}$/,
  pointer: /^oci\/blobs\/sha256\/(?<hex>[0-9a-f]{64})\/data-(?<uuid>[0-9a-f-]{36})-(?<size>\d+)$/,
  mark: /^oci\/blobs\/sha256\/[0-9a-f]{64}\/condemned-[0-9a-f-]{36}$/,
  collector: /^oci\/(?:gc\/.+|usage\.json)$/,
  unnamed: /^oci\/(?:data|uploads)\/[0-9a-f-]{36}$/,
  layoutVersion: /^oci\/layout\.json$/,
};
type Kind = keyof typeof KEYS;
type Found = ObjectInfo & { parts: Record<string, string>; repository: string };

export class Inspector {
  readonly #send: Send;
  readonly #storage: StorageDriver;
  /** What was found right, by a name and the ETags that it depends on. */
  #right = new Map<string, string>();

  constructor(send: Send, storage: StorageDriver) {
    this.#send = send;
    this.#storage = storage;
  }

  /** The next inspection reads everything. */
  forget(): void {
    this.#right = new Map();
  }

  /** @throws AssertionError if anything that can be seen is incomplete or wrong */
  async inspect(): Promise<Shown> {
    const found = await this.#list();
    const links = new Map(found.blobLink.map((link) => [`${link.repository}@sha256:${link.parts.hex}`, link]));
    const manifests = new Map(found.manifest.map((item) => [`${item.repository}@sha256:${item.parts.hex}`, item]));

    await mapConcurrently([...found.copy, ...found.pointer], (item) => this.#checkStoredBytes(item), AT_ONCE);
    await mapConcurrently([...links.values()], (link) => this.#checkBlob(link), AT_ONCE);
    await mapConcurrently(
      [...manifests.values()],
      (manifest) => this.#checkManifest(manifest, (name) => links.get(name) ?? manifests.get(name)),
      AT_ONCE,
    );
    await mapConcurrently(found.repositoryJson, (item) => this.#checkJson(item), AT_ONCE);
    const images = await this.#checkImages([...found.imagePart, ...found.ociImagePart]);
    const tags = await this.#checkTags(found.tag, new Set(manifests.keys()));
    await this.#checkV1Tags(found.tag);
    return { tags, manifests: new Set(manifests.keys()), blobs: new Set(links.keys()), images };
  }

  async #list(): Promise<Record<Kind, Found[]>> {
    const kinds = Object.keys(KEYS) as Kind[];
    const found = Object.fromEntries(kinds.map((kind) => [kind, []])) as unknown as Record<Kind, Found[]>;
    for await (const object of this.#storage.list('' as KeyPrefix)) {
      const kind = kinds.find((name) => KEYS[name].test(object.key));
      assert(kind, `unexpected object ${object.key}`);
      const parts = { ...KEYS[kind].exec(object.key)?.groups };
      const repository = `${parts.ns}/${decodeURIComponent(parts.part ?? '')}`;
      found[kind].push({ ...object, parts, repository });
    }
    return found;
  }

  /** Looks only if that has not been found right before, as it is now. */
  async #once<T>(name: string, etag: string, look: () => Promise<T>): Promise<T | undefined> {
    if (this.#right.get(name) === etag) return undefined;
    const result = await look();
    this.#right.set(name, etag);
    return result;
  }

  /** Bytes in storage under a digest: a later push of that digest reuses them, so they must match it. */
  async #checkStoredBytes({ key, etag, parts: { hex, uuid, size } }: Found): Promise<void> {
    await this.#once(key, etag, async () => {
      const named = (uuid === undefined ? key : `oci/data/${uuid}`) as Key;
      const object = await this.#storage.get(named);
      assert(object, `${named}, of which ${key} says that it is there`);
      assert.equal(object.info.sizeBytes, Number(size ?? object.info.sizeBytes), key);
      const hash = createHash('sha256');
      for await (const chunk of object.body) hash.update(chunk);
      assert.equal(hash.digest('hex'), hex, key);
    });
  }

  /** A link alone makes a blob visible, whether or not a manifest names it. */
  async #checkBlob({ key, etag, repository, parts: { hex } }: Found): Promise<void> {
    await this.#once(key, etag, async () => {
      const path = `/v2/${repository}/blobs/sha256:${hex}`;
      const { headers, body } = await this.#get(path);
      assert.equal(digestOf(body), `sha256:${hex}`, path);
      assert.equal(headers.get('Content-Length'), String(body.length), path);
      const link = JSON.parse(await this.#text(key)) as { size: number };
      assert.equal(link.size, body.length, `the size that ${key} says`);
    });
  }

  async #checkManifest(
    { key, etag, repository, parts: { hex } }: Found,
    find: (name: string) => Found | undefined,
  ): Promise<void> {
    await this.#once(key, etag, async () => {
      const path = `/v2/${repository}/manifests/sha256:${hex}`;
      const { body, headers } = await this.#get(path);
      assert.equal(digestOf(body), `sha256:${hex}`, path);
      assert.equal(headers.get('Docker-Content-Digest'), `sha256:${hex}`, path);
      const { config, layers = [], manifests = [] } = JSON.parse(body.toString()) as Manifest;
      for (const blob of config ? [config, ...layers] : layers) {
        assert(find(`${repository}@${blob.digest}`), `${path} names the blob ${blob.digest}, which is not linked`);
        const { headers: head } = await exchange(this.#send, [200], 'HEAD', `/v2/${repository}/blobs/${blob.digest}`);
        assert.equal(head.get('Content-Length'), String(blob.size), `the size of ${blob.digest} in ${path}`);
      }
      for (const child of manifests) {
        const { sizeBytes } = find(`${repository}@${child.digest}`) ?? {};
        assert.equal(sizeBytes, child.size, `${path} names the manifest ${child.digest}`);
      }
    });
  }

  async #checkJson({ key, etag }: Found): Promise<void> {
    await this.#once(key, etag, async () => {
      const text = await this.#text(key);
      assert.doesNotThrow(() => JSON.parse(text), `${key} holds ${text}`);
    });
  }

  /**
   * v1 images: those that are being pushed are hidden, all others fit their checksums. An image to which no tag leads any
   * more is unknown to clients: of one that was pushed what lies in storage is looked at instead.
   */
  async #checkImages(objects: readonly Found[]): Promise<ReadonlySet<string>> {
    const byImage = Map.groupBy(objects, ({ parts: { id = '' } }) => id);
    const sums = await mapConcurrently(
      [...byImage],
      async ([id, parts]) => {
        const names = new Map(parts.map((part) => [part.parts.name, part]));
        if (names.has('_inprogress')) {
          await exchange(this.#send, [400], 'GET', `/v1/images/${id}/json`);
          return [];
        }
        // A layer without JSON is none yet: the view of a v2 image comes in this order.
        if (!names.has('json')) return [];
        const etag = [...names.values()].map((part) => part.etag).join(' ');
        if (this.#right.get(`image ${id}`) !== etag) {
          const sum = await this.#checkImage(id, names).catch((cause: unknown) => {
            throw new Error(`${cause}; of image ${id} there are ${[...names.keys()]}`, { cause });
          });
          if (sum === undefined) return [];
          this.#right.set(`image ${id}`, etag).set(`sum of image ${id}`, sum);
        }
        return [`${id} ${this.#right.get(`sum of image ${id}`)}`];
      },
      AT_ONCE,
    );
    return new Set(sums.flat());
  }

  async #checkImage(id: string, names: ReadonlyMap<string | undefined, Found>): Promise<string | undefined> {
    const path = `/v1/images/${id}`;
    const read = (part: string) => exchange(this.#send, [200, 404], 'GET', `${path}/${part}`);
    const [json, layer, ancestry] = await Promise.all([read('json'), read('layer'), read('ancestry')]);
    assert.equal(new Set([json, layer, ancestry].map(({ status }) => status)).size, 1, `${path} is shown whole or not`);
    if (json.status === 404) return await this.#checkHidden(id, names);
    const document = JSON.parse(json.body.toString()) as { id: string; parent?: string };
    const [self, parent] = JSON.parse(ancestry.body.toString()) as string[];
    assert.deepEqual([document.id, self, parent], [id, id, document.parent], path);
    assert.equal(json.headers.get('X-Docker-Size'), String(layer.body.length), path);
    const sum = `sha256:${createHash('sha256').update(json.body).update('\n').update(layer.body).digest('hex')}`;
    const checksums = json.headers.get('X-Docker-Checksum-Payload')?.split(', ') ?? [];
    if (names.has('_checksum'))
      assert(checksums.includes(sum), `${path} has the checksum ${checksums}, but it is ${sum}`);
    return sum;
  }

  /** @returns nothing for a projection, which is made again where a manifest needs it */
  async #checkHidden(id: string, names: ReadonlyMap<string | undefined, Found>): Promise<string | undefined> {
    if (names.has('view.json') || !names.has('layer')) return undefined;
    const [json, layer, checksums] = await Promise.all(
      ['json', 'layer', '_checksum'].map((part) => this.#bytes(`images/${id}/${part}` as Key)),
    );
    const sum = `sha256:${createHash('sha256')
      .update(json ?? '')
      .update('\n')
      .update(layer ?? '')
      .digest('hex')}`;
    assert(String(checksums).includes(sum), `images/${id} has the checksum ${checksums}, but it is ${sum}`);
    return sum;
  }

  /** Every tag is listed, and leads to a manifest; for a v1 image to its conversion, which the first request makes. */
  async #checkTags(objects: readonly Found[], manifests: ReadonlySet<string>): Promise<Map<string, string>> {
    const listed: string[] = [];
    const { repositories } = await this.#json<{ repositories: string[] }>('/v2/_catalog?n=100000');
    for (const repository of repositories) {
      const { tags } = await this.#json<{ tags: string[] }>(`/v2/${repository}/tags/list`);
      listed.push(...tags.map((tag) => `${repository}:${tag}`));
    }
    const stored = objects.map(({ repository, parts: { tag } }) => `${repository}:${tag}`);
    assert.deepEqual(listed.toSorted(), stored.toSorted(), 'the tags that are listed, and those that are there');
    const values = await mapConcurrently(
      objects,
      async (object) => {
        const { key, etag, repository, parts } = object;
        const hex = await this.#text(key);
        const isManifest = manifests.has(`${repository}@sha256:${hex}`);
        await this.#once(key, etag, () => this.#checkTag(object, isManifest ? `sha256:${hex}` : undefined));
        return [`${repository}:${parts.tag}`, hex] as const;
      },
      AT_ONCE,
    );
    return new Map(values);
  }

  /** @param known the manifest that it has to be, which has been checked; absent for one that is made of a v1 image */
  async #checkTag({ repository, parts: { tag } }: Found, known: string | undefined): Promise<void> {
    const path = `/v2/${repository}/manifests/${tag}`;
    const { body, headers } = await this.#get(path);
    const digest = digestOf(body);
    assert.equal(digest, known ?? digest, path);
    assert.equal(headers.get('Docker-Content-Digest'), digest, path);
    if (known) return;
    const { config, layers = [] } = JSON.parse(body.toString()) as Manifest;
    await mapConcurrently(config ? [config, ...layers] : layers, async (blob) => {
      const blobPath = `/v2/${repository}/blobs/${blob.digest}`;
      const { body: bytes } = await this.#get(blobPath);
      assert.deepEqual([digestOf(bytes), bytes.length], [blob.digest, blob.size], `${blobPath} of ${path}`);
    });
  }

  /** What an old docker finds: every tag leads to a chain of images, all of them there. */
  async #checkV1Tags(objects: readonly Found[]): Promise<void> {
    const byRepository = Map.groupBy(objects, ({ repository }) => repository);
    for (const [repository, tags] of byRepository) {
      const etag = tags.map((tag) => tag.etag).join(' ');
      await this.#once(`v1 tags of ${repository}`, etag, async () => {
        const shown = await this.#json<Record<string, string>>(`/v1/repositories/${repository}/tags`);
        await mapConcurrently([...new Set(Object.values(shown))], (id) =>
          this.#once(`chain of ${id}`, '', () => this.#checkChain(id)),
        );
      });
    }
  }

  async #checkChain(id: string): Promise<void> {
    const ancestry = await this.#json<string[]>(`/v1/images/${id}/ancestry`);
    for (const ancestor of ancestry) {
      for (const part of ['json', 'ancestry', 'layer']) {
        await exchange(this.#send, [200], 'HEAD', `/v1/images/${ancestor}/${part}`);
      }
    }
  }

  async #get(path: string): Promise<Answer> {
    return await exchange(this.#send, [200], 'GET', path);
  }

  async #json<T>(path: string): Promise<T> {
    return JSON.parse((await this.#get(path)).body.toString()) as T;
  }

  async #text(key: Key): Promise<string> {
    return (await this.#bytes(key)).toString();
  }

  async #bytes(key: Key): Promise<Buffer> {
    const object = await this.#storage.get(key);
    assert(object, key);
    return Buffer.from(await readAll(object.body));
  }
}

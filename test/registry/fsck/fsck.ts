import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { type Key, type KeyPrefix, lastPartOf, layout } from '../../../lib/model/layout.ts';
import {
  type Digest,
  digestOfHex,
  type ImageId,
  parseDigest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
} from '../../../lib/model/names.ts';
import { decodeBlobLink, encodeBlobLink, encodeCondemnedLink } from '../../../lib/registry/blobs/link.ts';
import { BlobStore } from '../../../lib/registry/blobs/store.ts';
import { condemnedBy, encodeCondemnedManifest } from '../../../lib/registry/condemned/condemned.ts';
import { CORRUPT_MARK } from '../../../lib/registry/condemned/corrupt-mark.ts';
import { encodeGone } from '../../../lib/registry/condemned/gone.ts';
import type { Finding, FindingKind } from '../../../lib/registry/fsck/findings.ts';
import type { FsckOptions } from '../../../lib/registry/fsck/fsck.ts';
import type { FsckLevel } from '../../../lib/registry/fsck/levels.ts';
import { assembleRegistry, type Registry } from '../../../lib/registry/registry.ts';
import type { StorageDriver } from '../../../lib/storage/driver.ts';
import type { OpenedStorage } from '../../storage/open.ts';
import { type FullRegistry, fillRegistry, NO_WAIT, registryOver } from './full-registry.ts';

const app = parseRepositoryName('team/app');
const other = parseRepositoryName('team/other');
const multi = parseRepositoryName('team/multi');
const big = parseRepositoryName('team/big');
const v1 = parseRepositoryName('team/v1');

type Damaged = {
  full: FullRegistry;
  read(key: Key): Promise<Uint8Array>;
  write(key: Key, bytes: Uint8Array): Promise<void>;
  remove(key: Key): Promise<void>;
  /** What a link names. */
  linkTo(repository: RepositoryName, digest: Digest): Promise<{ key: Key; sizeBytes: number }>;
  /** The layers of `team/app:1.0`, base first, and its config. */
  blobsOf(repository: RepositoryName, digest: string): Promise<{ layers: Digest[]; config: Digest }>;
};

type Case = {
  title: string;
  level?: FsckLevel;
  damage: (damaged: Damaged) => Promise<void>;
  finds: FindingKind[];
  /** Whether a repair leaves no error. */
  isRepaired: boolean;
};

const text = (value: string) => Buffer.from(value);

const CASES: Case[] = [
  {
    title: 'a tag whose manifest is gone, which no other repository has',
    finds: ['dangling-tag'],
    isRepaired: false,
    damage: ({ write }) => write(layout.tag(app, parseTag('lost')), text('ab'.repeat(32))),
  },
  {
    title: 'a tag whose manifest is gone, which another repository has',
    finds: ['dangling-tag'],
    isRepaired: true,
    damage: async ({ full, write }) => {
      await write(layout.tag(other, parseTag('copied')), text(full.app.slice('sha256:'.length)));
    },
  },
  {
    title: 'a tag that names a SHA-512 digest without a manifest',
    finds: ['dangling-tag'],
    isRepaired: false,
    damage: ({ write }) => write(layout.tag(app, parseTag('lost')), text(`sha512:${'ab'.repeat(64)}`)),
  },
  {
    title: 'a tag that is no digest',
    finds: ['bad-tag'],
    isRepaired: false,
    damage: ({ write }) => write(layout.tag(app, parseTag('bad')), text('latest')),
  },
  {
    title: 'a link to bytes that are gone, with no other copy',
    finds: ['dangling-link'],
    isRepaired: true,
    damage: async ({ write }) => {
      const digest = digestOfHex('cd'.repeat(32));
      const link = encodeBlobLink({ sizeBytes: 5, key: layout.blobCopy(digest, randomUUID()) });
      await write(layout.blobLink(app, digest), link);
    },
  },
  {
    title: 'a link to data that is gone, with no other copy',
    finds: ['dangling-link'],
    isRepaired: true,
    damage: async ({ write }) => {
      const link = encodeBlobLink({ sizeBytes: 5, key: layout.data(randomUUID()) });
      await write(layout.blobLink(app, digestOfHex('cd'.repeat(32))), link);
    },
  },
  {
    title: 'a link to bytes that are gone, where there are others of the digest',
    finds: ['dangling-link', 'unlinked-bytes'],
    isRepaired: true,
    damage: async ({ full, write, blobsOf, linkTo }) => {
      const { config } = await blobsOf(app, full.app);
      const { sizeBytes } = await linkTo(app, config);
      await write(
        layout.blobLink(app, config),
        encodeBlobLink({ sizeBytes, key: layout.blobCopy(config, randomUUID()) }),
      );
    },
  },
  {
    title: 'a link that is no link',
    finds: ['bad-link'],
    isRepaired: true,
    damage: async ({ full, write, blobsOf }) => {
      await write(layout.blobLink(app, (await blobsOf(app, full.app)).layers[0] as Digest), text('{"size":"?"}'));
    },
  },
  {
    title: 'a link that says another size',
    finds: ['link-of-other-size'],
    isRepaired: true,
    damage: async ({ full, write, blobsOf, linkTo }) => {
      const { config } = await blobsOf(app, full.app);
      await write(layout.blobLink(app, config), encodeBlobLink({ ...(await linkTo(app, config)), sizeBytes: 1 }));
    },
  },
  {
    title: 'a referrer entry without its manifest',
    finds: ['dangling-referrer'],
    isRepaired: true,
    damage: ({ full, write }) =>
      write(
        layout.referrer(app, parseDigest(full.app), digestOfHex('ef'.repeat(32))),
        text('{"mediaType":"application/x"}'.padEnd(80)),
      ),
  },
  {
    title: 'a manifest whose bytes are others',
    level: 'manifests',
    finds: ['bad-manifest'],
    isRepaired: false,
    damage: ({ full, write }) =>
      write(layout.manifest(app, parseDigest(full.app)), text('{"schemaVersion":2,"layers":[]}'.padEnd(80))),
  },
  {
    title: 'a manifest without the link of a layer',
    level: 'manifests',
    finds: ['missing-link'],
    isRepaired: true,
    damage: async ({ full, remove, blobsOf }) =>
      remove(layout.blobLink(other, (await blobsOf(app, full.app)).layers[0] as Digest)),
  },
  {
    title: 'an index without a child',
    level: 'manifests',
    finds: ['missing-child'],
    isRepaired: false,
    damage: ({ full, remove }) => remove(layout.manifest(multi, parseDigest(full.child))),
  },
  {
    title: 'a manifest with a subject and no referrer entry',
    level: 'manifests',
    finds: ['missing-referrer'],
    isRepaired: true,
    damage: ({ full, remove }) => remove(layout.referrer(app, parseDigest(full.app), parseDigest(full.referrer))),
  },
  {
    title: 'a pointer without data',
    finds: ['pointer-without-data'],
    isRepaired: true,
    damage: ({ full, write }) => write(layout.blobPointer(parseDigest(full.big), randomUUID(), 5 * 2 ** 20), text('')),
  },
  {
    title: 'a pointer that says another size',
    finds: ['pointer-of-other-size'],
    isRepaired: true,
    damage: async ({ full, linkTo, write }) => {
      const { key } = await linkTo(big, parseDigest(full.big));
      await write(layout.blobPointer(parseDigest(full.app), lastPartOf(key), 7), text(''));
    },
  },
  {
    title: 'data that a link names, without a pointer',
    finds: ['missing-pointer'],
    isRepaired: true,
    damage: async ({ full, linkTo, remove }) => {
      const { key, sizeBytes } = await linkTo(big, parseDigest(full.big));
      await remove(layout.blobPointer(parseDigest(full.big), lastPartOf(key), sizeBytes));
    },
  },
  {
    title: 'corrupt bytes, with no other copy',
    level: 'bytes',
    finds: ['corrupt-bytes', 'link-to-corrupt-bytes'],
    isRepaired: false,
    damage: async ({ full, linkTo, write }) => {
      const { key, sizeBytes } = await linkTo(big, parseDigest(full.big));
      await write(key, Buffer.alloc(sizeBytes));
    },
  },
  {
    title: 'corrupt bytes, with another copy',
    level: 'bytes',
    finds: ['corrupt-bytes', 'link-to-corrupt-bytes', 'unlinked-bytes'],
    isRepaired: true,
    damage: async ({ full, linkTo, write, read }) => {
      const digest = parseDigest(full.big);
      const { key, sizeBytes } = await linkTo(big, digest);
      const uuid = randomUUID();
      await write(layout.data(uuid), await read(key));
      await write(layout.blobPointer(digest, uuid, sizeBytes), text(''));
      await write(key, Buffer.alloc(sizeBytes));
    },
  },
  {
    title: 'bytes that no link names',
    finds: ['unlinked-bytes'],
    isRepaired: false,
    damage: ({ write }) => write(layout.blobCopy(digestOfHex('12'.repeat(32)), randomUUID()), text('garbage')),
  },
  {
    title: 'data without a pointer',
    finds: ['unnamed-data'],
    isRepaired: false,
    damage: ({ write }) => write(layout.data(randomUUID()), text('garbage')),
  },
  {
    title: 'a mark of bytes that are gone',
    finds: ['leftover-mark'],
    isRepaired: false,
    damage: ({ write }) => write(layout.blobMark(digestOfHex('12'.repeat(32)), randomUUID()), text('')),
  },
  {
    title: 'remains of an upload',
    finds: ['leftover-upload'],
    isRepaired: false,
    damage: ({ write }) => write(layout.uploadScrap(randomUUID()), text('garbage')),
  },
  {
    title: 'a v1 image without its layer',
    finds: ['incomplete-image'],
    isRepaired: false,
    damage: async ({ read, remove }) => {
      const id = Buffer.from(await read(layout.tag(v1, parseTag('1.0')))).toString() as ImageId;
      await remove(layout.imageAncestry(id));
    },
  },
  {
    title: 'a projection that was interrupted before its JSON',
    finds: ['unfinished-projection'],
    isRepaired: false,
    damage: ({ full, remove }) => remove(layout.imageJson(full.app.slice('sha256:'.length) as ImageId)),
  },
  {
    title: 'a projection that lacks an object',
    finds: ['torn-projection'],
    isRepaired: true,
    damage: ({ full, remove }) => remove(layout.imageAncestry(full.app.slice('sha256:'.length) as ImageId)),
  },
  {
    title: 'a projection with a record that lacks an object',
    finds: ['torn-projection'],
    isRepaired: true,
    damage: ({ full, remove }) => remove(layout.imageJson(full.zstd.slice('sha256:'.length) as ImageId)),
  },
  {
    title: 'the layer of a projection that names bytes which are gone',
    level: 'manifests',
    finds: ['missing-layer'],
    isRepaired: true,
    damage: async ({ full, read, write }) => {
      const key = layout.imageLayerDescriptor(full.zstd.slice('sha256:'.length) as ImageId);
      const layer = JSON.parse(Buffer.from(await read(key)).toString()) as { digest: Digest };
      await write(key, text(JSON.stringify({ ...layer, key: layout.blobCopy(layer.digest, randomUUID()) })));
    },
  },
  {
    title: 'the layer of a projection without its marker',
    finds: ['missing-marker'],
    isRepaired: true,
    damage: async ({ full, read, remove }) => {
      const id = full.zstd.slice('sha256:'.length) as ImageId;
      const layer = JSON.parse(Buffer.from(await read(layout.imageLayerDescriptor(id))).toString()) as {
        digest: Digest;
      };
      await remove(layout.imageBlob(id, layer.digest));
    },
  },
  {
    title: 'a push of v1 that did not end',
    finds: ['unfinished-push'],
    isRepaired: false,
    damage: ({ write }) => write(layout.imageInProgress('ab'.repeat(32) as ImageId), text('true')),
  },
  {
    title: 'a grant whose manifest the repository does not hold',
    finds: ['stale-grant'],
    isRepaired: false,
    damage: ({ full, write }) =>
      write(
        layout.manifestGrant(full.app.slice('sha256:'.length) as ImageId, app, [digestOfHex('ab'.repeat(32))]),
        text(''),
      ),
  },
  {
    title: 'a key that no layout has',
    finds: ['unknown-key', 'unknown-key', 'unknown-key'],
    isRepaired: false,
    damage: async ({ write }) => {
      await write('notes.txt' as Key, text('by the operator'));
      await write('oci/other/x' as Key, text('x'));
      await write('oci/blobs/sha256/zz/x' as Key, text('x'));
    },
  },
  {
    title: 'no layout record',
    finds: ['no-layout-record'],
    isRepaired: true,
    damage: ({ remove }) => remove(layout.layoutVersion()),
  },
  {
    title: 'a layout record that is no JSON',
    finds: ['bad-layout-record'],
    isRepaired: false,
    damage: ({ write }) => write(layout.layoutVersion(), text('2')),
  },
];

/** What fsck finds, and repairs. */
export function fsckSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`fsck on ${name}`, () => {
    let opened: OpenedStorage;
    let storage: StorageDriver;
    let registry: Registry;
    let full: FullRegistry;
    before(async () => {
      opened = await open();
      storage = opened.driver;
      full = await fillRegistry(opened);
      registry = registryOver(opened);
      await check({ level: 'bytes', repair: 'on' });
      await storage.put(layout.layoutVersion(), text('{"layout":2,"minWriter":2}'));
    });
    after(() => opened.close());

    const check = async (options: Omit<FsckOptions, 'onFinding'> = {}) => {
      const found: Finding[] = [];
      const result = await registry.fsck.run({ ...options, onFinding: (finding) => void found.push(finding) });
      return { found, ...result };
    };
    const kindsOf = (found: readonly Finding[]) => found.map(({ kind }) => kind).toSorted();
    const assertClean = async (level: FsckLevel = 'bytes') => {
      const { found, errors, warnings } = await check({ level });
      assert.deepEqual(found, []);
      assert.deepEqual({ errors, warnings }, { errors: 0, warnings: 0 });
    };
    const read = async (key: Key) => {
      const object = await storage.read(key);
      assert.ok(object, `${key} is missing`);
      return object.bytes;
    };
    const damaged = (): Damaged => ({
      full,
      read,
      write: async (key, bytes) => void (await storage.put(key, bytes)),
      remove: async (key) => void (await storage.delete(key)),
      async linkTo(repository, digest) {
        const key = layout.blobLink(repository, digest);
        return decodeBlobLink(await read(key), key);
      },
      async blobsOf(repository, digest) {
        const bytes = await read(layout.manifest(repository, parseDigest(digest)));
        const { layers, config } = JSON.parse(Buffer.from(bytes).toString()) as {
          layers: { digest: Digest }[];
          config: { digest: Digest };
        };
        return { layers: layers.map((layer) => layer.digest), config: config.digest };
      },
    });

    it('finds nothing in a healthy registry, at any level', () => assertClean());

    for (const { title, level = 'structure', finds, isRepaired, damage } of CASES) {
      it(`finds ${title}`, async () => {
        const restore = await snapshot(storage);
        try {
          await damage(damaged());
          const { found } = await check({ level });
          assert.deepEqual(kindsOf(found), finds.toSorted(), JSON.stringify(found));
          const planned = await check({ level, repair: 'plan' });
          assert.deepEqual(kindsOf(planned.found), finds.toSorted(), 'a dry run changes nothing');
          if (isRepaired) {
            assert.ok(planned.found.some(({ repair }) => repair?.isDone === false));
            const repaired = await check({ level, repair: 'on' });
            assert.equal(repaired.errors, 0, JSON.stringify(repaired.found));
            const again = await check({ level: 'bytes' });
            assert.equal(again.errors, 0, JSON.stringify(again.found));
          }
        } finally {
          await restore();
        }
        await assertClean(level);
      });
    }

    const bigDigest = () => parseDigest(full.big);
    const corrupt = async (repository: RepositoryName, digest: Digest) => {
      const { key, sizeBytes } = await damaged().linkTo(repository, digest);
      await storage.put(key, Buffer.alloc(sizeBytes));
      return key;
    };
    const holds = async (repository: RepositoryName) =>
      (await registry.blobs.find(repository, bigDigest())) !== undefined;

    it('leaves corrupt bytes to no repository, by a link or a mount, and a push makes every repository whole', async () => {
      const restore = await snapshot(storage);
      const good = await read((await damaged().linkTo(big, bigDigest())).key);
      await registry.blobs.mount(bigDigest(), big, other);
      await corrupt(big, bigDigest());
      const { found, errors } = await check({ level: 'bytes', repair: 'on' });
      const links = found.filter(({ kind }) => kind === 'link-to-corrupt-bytes');
      assert.equal(links.length, 2);
      assert.ok(links.every(({ repair }) => repair?.needsPush));
      assert.equal(errors, 2);
      for (const repository of [big, other]) {
        assert.equal(await holds(repository), false);
        assert.equal(await registry.blobs.mount(bigDigest(), repository, app), undefined);
      }
      assert.equal(await registry.blobs.mountFromAnywhere(bigDigest(), app), undefined);

      const store = new BlobStore(storage);
      const stored = await store.put(Readable.from([good]), { expected: bigDigest() });
      await registry.blobs.link(big, stored);
      assert.equal((await check({ level: 'bytes', repair: 'on' })).errors, 0);
      await restore();
    });

    it('copies no bytes that it has marked as corrupt for a mount that has read a link to them before', async () => {
      const restore = await snapshot(storage);
      const key = await corrupt(big, bigDigest());
      await storage.put(layout.blobMark(bigDigest(), lastPartOf(key).slice(-36)), CORRUPT_MARK);
      assert.equal(await registry.blobs.mount(bigDigest(), big, other), undefined);
      assert.equal(await holds(other), false);
      await restore();
    });

    it('repairs links to corrupt bytes that an interrupted run has marked, and that lie before its position', async () => {
      const restore = await snapshot(storage);
      const key = await corrupt(big, bigDigest());
      await storage.put(layout.blobMark(bigDigest(), lastPartOf(key).slice(-36)), CORRUPT_MARK);
      await check({ level: 'bytes', repair: 'on', bytes: { after: '3' } });
      assert.equal(await holds(big), false);
      await restore();
    });

    it('leaves a link alone that a push writes while the bytes are hashed', async () => {
      const restore = await snapshot(storage);
      const good = await read((await damaged().linkTo(big, bigDigest())).key);
      const key = await corrupt(big, bigDigest());
      const pushed = layout.blobCopy(bigDigest(), randomUUID());
      // The push has stored its bytes before, and links them between the repair's reading of the link and its writing.
      const at = layout.blobLink(big, bigDigest());
      const racing = new Proxy(storage, {
        get(target, name, receiver) {
          if (name !== 'put') return bind(target, Reflect.get(target, name, receiver));
          return async (...[to, bytes, options]: Parameters<StorageDriver['put']>) => {
            if (to === at && options?.ifMatch !== undefined) {
              await target.put(pushed, good);
              await target.put(at, encodeBlobLink({ sizeBytes: good.length, key: pushed }));
            }
            return await target.put(to, bytes, options);
          };
        },
      });
      const { fsck } = assembleRegistry(racing, { copiesLayers: true, times: NO_WAIT });
      await fsck.run({ level: 'bytes', repair: 'on', onFinding: () => undefined });
      assert.notEqual(pushed, key);
      assert.equal((await damaged().linkTo(big, bigDigest())).key, pushed);
      await restore();
    });

    for (const { title, damage } of [
      { title: 'are shorter', damage: async (key: Key) => void (await storage.put(key, text('short'))) },
      {
        title: 'have another size than a link that is no link',
        damage: async (key: Key) => {
          await storage.put(key, text('short'));
          await storage.put(layout.blobLink(big, bigDigest()), text('{"size":"?"}'));
        },
      },
    ]) {
      it(`removes the link to bytes that ${title}, so that a push sends them`, async () => {
        const restore = await snapshot(storage);
        await damage((await damaged().linkTo(big, bigDigest())).key);
        const { errors } = await check({ repair: 'on' });
        assert.ok(errors > 0);
        assert.equal(await holds(big), false);
        assert.equal(await registry.blobs.mountFromAnywhere(bigDigest(), other), undefined);
        await restore();
      });
    }

    it('hashes the rest of the bytes where it goes on after a position', async () => {
      const positions: string[] = [];
      let allBytes = 0;
      const onBytes = (sizeBytes: number) => {
        allBytes += sizeBytes;
      };
      await check({ level: 'bytes', bytes: { onPosition: (key) => void positions.push(key), onBytes } });
      const total = allBytes;
      assert.ok(total > 5 * 2 ** 20 && positions.length > 1);
      const rest: number[] = [];
      for (const after of [positions[0] ?? '', positions.at(-1) ?? '']) {
        allBytes = 0;
        await check({ level: 'bytes', bytes: { after, onBytes } });
        rest.push(allBytes);
      }
      assert.ok((rest[0] ?? 0) < total && (rest[0] ?? 0) > 0);
      assert.equal(rest[1], 0);
    });

    it('hashes the same objects of a sample each time', async () => {
      const sampled = async (sample: number) => {
        let bytes = 0;
        await check({ level: 'bytes', bytes: { sample, onBytes: (sizeBytes) => (bytes += sizeBytes) } });
        return bytes;
      };
      assert.equal(await sampled(0.5), await sampled(0.5));
      assert.equal(await sampled(0), 0);
    });

    it('reports no garbage that is younger than an upload session may be', async () => {
      const restore = await snapshot(storage);
      await damaged().write(layout.blobCopy(digestOfHex('12'.repeat(32)), randomUUID()), text('garbage'));
      await damaged().write(layout.data(randomUUID()), text('garbage'));
      const young: Finding[] = [];
      const { fsck } = assembleRegistry(storage, { copiesLayers: true });
      await fsck.run({ onFinding: (finding) => void young.push(finding) });
      assert.deepEqual(young, []);
      await restore();
    });

    it('accepts condemned and gone forms of links, manifests and referrer entries', async () => {
      const restore = await snapshot(storage);
      const { blobsOf, linkTo, write } = damaged();
      const { config } = await blobsOf(app, full.app);
      const manifest = layout.manifest(app, parseDigest(full.app));
      const by = condemnedBy(randomUUID());
      await write(layout.blobLink(app, config), encodeCondemnedLink(await linkTo(app, config), by));
      await write(manifest, encodeCondemnedManifest(await read(manifest), by));
      const absent = digestOfHex('ee'.repeat(32));
      await write(layout.blobLink(app, absent), encodeGone());
      await write(layout.manifest(app, absent), encodeGone());
      await write(layout.referrer(app, parseDigest(full.app), absent), encodeGone());
      // The collector removes an entry the grace period after its manifest.
      const entry = JSON.stringify({ mediaType: 'application/x', condemned: by });
      await write(layout.referrer(app, parseDigest(full.app), digestOfHex('ed'.repeat(32))), text(entry));
      await assertClean();
      await restore();
    });
  });
}

const bind = <T>(target: StorageDriver, value: T): T => (typeof value === 'function' ? value.bind(target) : value);

/** Keeps all objects. @returns a function that puts back those that have changed since */
async function snapshot(storage: StorageDriver): Promise<() => Promise<void>> {
  const list = () => Array.fromAsync(storage.list('' as KeyPrefix));
  const before = await Promise.all(
    (await list()).map(async ({ key, etag }) => [key, etag, await storage.read(key)] as const),
  );
  return async () => {
    const now = new Map((await list()).map(({ key, etag }) => [key, etag]));
    for (const [key, etag, object] of before) {
      if (now.get(key) !== etag && object) await storage.put(key, object.bytes);
      now.delete(key);
    }
    for (const key of now.keys()) await storage.delete(key);
  };
}

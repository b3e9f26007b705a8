import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Key } from '../../lib/model/layout.ts';
import { openFiles } from '../storage/open.ts';
import { simpleSum } from './checksums.ts';
import { DockerRegistry, RefusedError } from './docker-registry.ts';
import { ANCESTRIES, BASE_ID, TAG_JSON_OF_14_04, UBUNTU_INDEX } from './example.ts';
import { filesOfImage } from './files-of-image.ts';
import { type OldBucket, oldBucket } from './generator.ts';
import { hashAll, hashesOf, storeBucket } from './in-storage.ts';
import type { DockerRegistryVersion } from './keys.ts';

/** SHA-256 over all keys and contents. Other tests pin digests of this bucket, so it must not change. */
const FINGERPRINTS: Record<DockerRegistryVersion, string> = {
  '0.6.5': '4bda50920d4f84b292f30adb659028823bddde3b35ff6ec12fdd18cd3d3583e6',
  '0.9.1': 'a8c4d82b477c0e84ad7e71e08f6b4bdbbc5f080a592db47e1f86daf35d280b30',
};

const UBUNTU_TAGS = ['12.10', '13.04', '13.10', '14.04', 'latest', 'quantal', 'raring', 'saucy', 'trusty'];

for (const version of ['0.6.5', '0.9.1'] as const) {
  describe(`a bucket of docker-registry ${version}`, () => {
    const bucket = oldBucket(version, { longChain: 127 });
    const ownImages = [...bucket.images.keys()].filter((id) => !isDeep(id, bucket));
    const textAt = (key: string) => (bucket.objects.get(key) ?? assert.fail(`no ${key}`)).toString();
    const objectsBelow = (folder: string) =>
      [...bucket.objects.keys()].filter((key) => key.startsWith(folder)).map((key) => key.slice(folder.length));

    test('is the same on each run and on each machine', () => {
      const hash = createHash('sha256');
      const example = oldBucket(version);
      for (const [key, content] of example.objects) hash.update(`${key} ${content.length}\n`).update(content);
      assert.equal(hash.digest('hex'), FINGERPRINTS[version]);
      assert.deepEqual(hashesOf(oldBucket(version)), hashesOf(example));
    });

    test('holds the 24 images, with ancestries that match their parents', () => {
      assert.equal(ownImages.length, 24);
      assert.deepEqual(new Set(ownImages), new Set(Object.values(ANCESTRIES).flat()));
      for (const { id, ancestry, json } of bucket.images.values()) {
        const parsed = JSON.parse(Buffer.from(json).toString()) as { id: string; parent?: string };
        assert.equal(parsed.id, id);
        assert.equal(parsed.parent, ancestry[1]);
        assert.deepEqual(ancestry.slice(1), parsed.parent ? bucket.images.get(parsed.parent)?.ancestry : []);
        assert.equal(textAt(`images/${id}/ancestry`), `[${ancestry.map((each) => `"${each}"`).join(', ')}]`);
      }
    });

    test('lists 21 images of ubuntu, in the order of the example', () => {
      const index = JSON.parse(textAt('repositories/library/ubuntu/_index_images')) as { id: string }[];
      assert.equal(index.length, 21);
      assert.deepEqual(
        index.map(({ id }) => id),
        UBUNTU_INDEX,
      );
      const chains = (['12.10', '13.04', '13.10', '14.04'] as const).flatMap((release) => ANCESTRIES[release]);
      assert.deepEqual(new Set(chains), new Set(UBUNTU_INDEX));
    });

    test('has the tags of the example, each an id and nothing else', () => {
      const tags = objectsBelow('repositories/library/ubuntu/tag_');
      assert.deepEqual(tags, UBUNTU_TAGS);
      for (const tag of ['14.04', 'trusty', 'latest']) {
        assert.equal(textAt(`repositories/library/ubuntu/tag_${tag}`), ANCESTRIES['14.04'][0]);
      }
      assert.equal(textAt('repositories/library/centos/tag_latest'), ANCESTRIES['centos 6.5'][0]);
    });

    test('has layers that decompress to their tar', () => {
      const forms = new Set([...bucket.images.values()].map(({ layer }) => layer.form));
      assert.equal(forms.size, 7);
      for (const { id, layer } of bucket.images.values()) {
        const object = bucket.objects.get(`images/${id}/layer`) ?? assert.fail(id);
        assert.ok(Buffer.from(layer.bytes).equals(object), id);
        if (layer.form.startsWith('docker')) assert.ok(gunzipSync(object).equals(layer.tar), id);
        if (layer.form === 'tar') assert.ok(Buffer.from(layer.tar).equals(object), id);
        assert.equal(object.length === 0, layer.form === 'none', id);
      }
      assert.equal(bucket.objects.get(`images/${BASE_ID}/layer`)?.subarray(0, 4).toString('hex'), '1f8b0800');
      assert.equal(bucket.objects.get(`images/${BASE_ID}/layer`)?.length, 83);
    });

    test('has images whose layers add files and delete others', () => {
      for (const release of ['12.10', '13.04', '13.10', '14.04'] as const) {
        const files = filesOfImage(bucket, ANCESTRIES[release][0]);
        assert.deepEqual([...files.keys()].toSorted(), [
          'etc/apt/sources.list',
          'etc/issue',
          'etc/lsb-release',
          'root/.bashrc',
          'usr/lib/noise',
          'usr/lib/zeros',
        ]);
        assert.equal(Buffer.from(files.get('etc/issue') ?? []).toString(), `Ubuntu ${release}, updated\n`);
      }
    });

    test('has an image with 127 ancestors', () => {
      const { tags, index } = bucket.repositories.find(({ name }) => name === 'library/deep') ?? assert.fail();
      assert.equal(index.length, 128);
      assert.deepEqual(bucket.images.get(tags.latest ?? '')?.ancestry, index);
      assert.ok(!oldBucket(version).repositories.some(({ name }) => name === 'library/deep'));
    });

    describe('read by docker-registry', () => {
      let storage: Awaited<ReturnType<typeof openFiles>>;
      let registry: DockerRegistry;
      before(async () => {
        storage = await openFiles();
        await storeBucket(storage.driver, bucket);
        registry = new DockerRegistry(storage.driver, version);
      });
      after(() => storage.close());

      test('is complete, and unchanged by reading it', async () => {
        assert.deepEqual(await hashAll(storage.driver), hashesOf(bucket));
        const counts = bucket.repositories.map(({ name, tags }) => [name, Object.keys(tags).length]);
        assert.deepEqual(await registry.pullEverything(), Object.fromEntries(counts));
        assert.deepEqual(await hashAll(storage.driver), hashesOf(bucket));
      });

      test('has the expected tags and images', async () => {
        for (const { name, tags, index } of bucket.repositories) {
          assert.deepEqual(await registry.tags(name), tags);
          assert.deepEqual(new Set(await registry.index(name)), new Set(index));
        }
        const pulled = await registry.pull('ubuntu', 'saucy');
        assert.deepEqual(
          pulled.map(({ id }) => id),
          ANCESTRIES['13.10'].toReversed(),
        );
      });

      test('is refused where an object is missing or wrong', async () => {
        const refused = (status: number, message: string) => (error: unknown) =>
          error instanceof RefusedError && error.message === `${status} ${message}`;
        await assert.rejects(registry.tag('ubuntu', 'no-such'), refused(404, 'Tag not found'));
        await assert.rejects(registry.tags('no/such'), refused(404, 'Repository not found'));
        await assert.rejects(registry.index('no/such'), refused(404, 'images not found'));
        await assert.rejects(registry.layer('0'.repeat(64)), refused(404, 'Image not found'));
        await assert.rejects(registry.layer('0'.repeat(63)), refused(404, 'Invalid image ID'));
        const id = ANCESTRIES['14.04'][0];
        for (const { object, content, reason } of [
          { object: '_checksum', content: `["sha256:${'0'.repeat(64)}"]`, reason: /_checksum has sha256:0000/ },
          {
            object: 'layer',
            content: bucket.objects.get(`images/${BASE_ID}/layer`),
            reason: /_checksum has (?:tarsum\+)?sha256:/,
          },
          { object: 'json', content: textAt(`images/${BASE_ID}/json`), reason: /the JSON is that of 511136ea/ },
          { object: 'ancestry', content: `["${id}"]`, reason: /the ancestry is 8aedcdad\S+, not 8aedcdad\S+,99ec81b8/ },
          { object: '_inprogress', content: 'true', reason: /400 Image is being uploaded, retry later/ },
        ]) {
          const key = `images/${id}/${object}` as Key;
          await storage.driver.put(key, Buffer.from(content ?? assert.fail()));
          await assert.rejects(registry.pull('ubuntu', 'latest'), reason);
          const original = bucket.objects.get(key);
          await (original ? storage.driver.put(key, original) : storage.driver.delete(key));
        }
        await registry.pull('ubuntu', 'latest');
      });
    });
  });
}

describe('the objects of 0.6.5', () => {
  const { objects } = oldBucket('0.6.5');
  const keys = [...objects.keys()];
  const textAt = (key: string) => (objects.get(key) ?? assert.fail(`no ${key}`)).toString();

  test('in the folder of a repository', () => {
    const folder = 'repositories/library/ubuntu/';
    assert.deepEqual(
      keys.filter((key) => key.startsWith(folder)).map((key) => key.slice(folder.length)),
      ['_images_list', '_index_images', 'json', ...UBUNTU_TAGS.map((tag) => `tag_${tag}`)],
    );
    assert.ok(!keys.some((key) => /\/tag[^/]+_json$/.test(key)));
    assert.match(textAt(`${folder}_images_list`), /^\["[0-9a-f]{64}"(?:, "[0-9a-f]{64}"){20}\]$/);
  });

  test('as checksums: bare, of both kinds, one with a newline, one missing', () => {
    const sums = keys.filter((key) => key.endsWith('/_checksum')).map(textAt);
    assert.equal(sums.length, 23);
    const of = (pattern: RegExp) => sums.filter((sum) => pattern.test(sum)).length;
    assert.deepEqual(
      { simple: of(/^sha256:[0-9a-f]{64}$/), tar: of(/^tarsum\+sha256:[0-9a-f]{64}$/), newline: of(/^\S+\n$/) },
      { simple: 5, tar: 17, newline: 1 },
    );
  });

  test('as index images: with tags and checksums, in the spacing of Python, or verbatim', () => {
    const centos = textAt('repositories/library/centos/_index_images');
    assert.match(centos, /^\[\{"Tag": "6\.4", "checksum": "tarsum\+sha256:[0-9a-f]{64}", "id": "539c0211/);
    const nested = textAt('repositories/a/b%2Fc/_index_images');
    assert.match(nested, /^\[\{"id":"511136ea\w+"\},\{"id":"7064731a\w+"\},\{"id":"0b443ba0\w+","Tag":"latest"\},/);
  });

  test('as file lists', () => {
    assert.equal(textAt(`images/${BASE_ID}/_files`), '[["/", "d", false, 0, 0, 493, 0, 0]]');
    assert.equal(
      textAt('images/cf8dc907452c970224551599da573c9e32897fc65286d942625c4c86dabd680d/_files'),
      '[["/", "d", false, 0, 0, 493, 0, 0], ["/install.log", "f", true, 0, 0, 420, 0, 0], ["/tmp", "d", false, 0, 0, 1023, 0, 0], ["/tmp/.wh.build.log", "f", false, 0, 0, 420, 0, 0]]',
    );
  });

  test('in other places: a status probe, nested names, empty objects, files that are no repository', () => {
    assert.ok(keys.some((key) => /^[A-Z0-9]{16}$/.test(key)));
    assert.ok(objects.has('repositories/a/b%2Fc/tag_1.0'));
    assert.equal(objects.get('repositories/a/b%2Fc/_private')?.length, 0);
    assert.ok(objects.has('repositories/example/tools/tag_1.0+b'));
    assert.ok(objects.has('repositories/alone/README'));
  });
});

describe('the objects of 0.9.1', () => {
  const bucket = oldBucket('0.9.1');
  const { objects } = bucket;
  const keys = [...objects.keys()];
  const textAt = (key: string) => (objects.get(key) ?? assert.fail(`no ${key}`)).toString();

  test('in the folder of a repository', () => {
    const folder = 'repositories/library/centos/';
    assert.deepEqual(
      keys.filter((key) => key.startsWith(folder)).map((key) => key.slice(folder.length)),
      ['_index_images', 'json', 'tag6.4_json', 'tag6.5_json', 'tag_6.4', 'tag_6.5', 'tag_latest', 'taglatest_json'],
    );
    assert.equal(textAt('repositories/library/ubuntu/tag14.04_json'), TAG_JSON_OF_14_04);
    assert.equal(textAt('repositories/library/ubuntu/json'), textAt('repositories/library/ubuntu/taglatest_json'));
    assert.match(
      textAt('repositories/library/ubuntu/_index_images'),
      /^\[\{"id": "e7206bfc[0-9a-f]{56}"\}(?:, \{"id": "[0-9a-f]{64}"\}){20}\]$/,
    );
  });

  test('in the folder of an image', () => {
    const names = new Set(keys.filter((key) => key.startsWith('images/')).map((key) => key.split('/')[2]));
    assert.deepEqual(names, new Set(['_checksum', '_inprogress', 'ancestry', 'json', 'layer']));
    const sums = keys.filter((key) => key.endsWith('/_checksum')).map(textAt);
    assert.equal(sums.length, 23);
    assert.equal(sums.filter((sum) => /^\["sha256:[0-9a-f]{64}"\]$/.test(sum)).length, 22);
    assert.equal(
      sums.filter((sum) => /^\["sha256:[0-9a-f]{64}", "tarsum\+sha256:[0-9a-f]{64}"\]$/.test(sum)).length,
      1,
    );
  });

  test('of an interrupted push', () => {
    const [{ id, layer } = assert.fail()] = bucket.incomplete;
    const names = keys.filter((key) => key.startsWith(`images/${id}/`)).map((key) => key.split('/')[2]);
    assert.deepEqual(names, ['_inprogress', 'ancestry', 'json', 'layer']);
    assert.equal(textAt(`images/${id}/_inprogress`), 'true');
    assert.equal(objects.get(`images/${id}/layer`)?.length, layer.bytes.length >> 1);
  });

  test('under names that need quoting', () => {
    assert.ok(objects.has('repositories/a/b%252Fc/tag_latest'));
    assert.ok(objects.has('repositories/example/tools/tag_1.0%2Bb'));
    assert.ok(objects.has('repositories/example/tools/tag1.0%2Bb_json'));
    assert.match(textAt('repositories/example/tools/tag_x_json'), /^\{"kernel": /);
  });
});

test('the payload sum equals a known value', () => {
  const expected = 'sha256:f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2';
  assert.equal(simpleSum(Buffer.from('test'), Buffer.alloc(0)), expected);
});

function isDeep(id: string, { repositories }: OldBucket): boolean {
  return repositories.some(({ name, index }) => name === 'library/deep' && index.includes(id));
}

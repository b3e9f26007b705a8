import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Key, layout, repositoryOf } from '../../lib/model/layout.ts';
import {
  type Digest,
  type ImageId,
  namespaceOf,
  parseDigest,
  parseImageId,
  parseReference,
  parseRepositoryName,
  parseTag,
  parseV1RepositoryName,
  parseV1Tag,
  type RepositoryName,
  sha256Digest,
  type Tag,
} from '../../lib/model/names.ts';
import { FilesDriver } from '../../lib/storage/files.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';

/** Texts of attackers, of ordinary names, and of any characters. */
const hostile = fc.oneof(
  fc.constantFrom(
    '..',
    '.',
    '/',
    '//',
    '../',
    '/..',
    '..\\',
    '%2e%2e',
    '%2F',
    '\0',
    '\n',
    '~',
    'tag_',
    '_json',
    'oci',
    'images',
    'a',
    'A',
    '+',
    ' ',
  ),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.string({ maxLength: 12 }),
);
const text = fc.array(hostile, { minLength: 1, maxLength: 8 }).map((parts) => parts.join(''));

const RUNS = 3000;

/** The parsed texts, without those that the parser refuses. */
function parsedBy<T>(parse: (input: string) => T, input: fc.Arbitrary<string> = text): fc.Arbitrary<T> {
  const tried = (value: string): { parsed: T } | undefined => {
    try {
      return { parsed: parse(value) };
    } catch {
      return undefined;
    }
  };
  return input
    .map(tried)
    .filter((found) => found !== undefined)
    .map(({ parsed }) => parsed);
}

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const v2Name = fc.stringMatching(/^[a-z0-9]{1,5}([._-][a-z0-9]{1,4})?(\/[a-z0-9]{1,5}){0,3}$/);
const repository = fc.oneof(parsedBy(parseV1RepositoryName), parsedBy(parseRepositoryName, fc.oneof(v2Name, text)));
const tag = fc.oneof(
  parsedBy(parseV1Tag),
  parsedBy(parseTag, fc.oneof(text, fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/))),
);
const digest = fc.oneof(
  hex(64).map((digits) => parseDigest(`sha256:${digits}`)),
  hex(128).map((digits) => parseDigest(`sha512:${digits}`)),
);
const imageId = fc.oneof(hex(64), hex(16)).map(parseImageId);

const UUID = crypto.randomUUID();

/** Every key made of names, with the folder that must contain it. */
function keysOf(name: RepositoryName, t: Tag, d: Digest, id: ImageId): [Key | undefined, string][] {
  const v1 = layout.repository(name);
  const oci = layout.ociRepository(name);
  return [
    [layout.tag(name, t), v1],
    [layout.tagsAfter(name, t), v1],
    [layout.tagJson(name, t), v1],
    [layout.legacyTagJson(name, t), v1],
    [layout.repositoryJson(name), v1],
    [layout.repositoryPrivate(name), v1],
    [layout.repositoryImagesList(name), v1],
    [layout.indexImages(name), v1],
    [layout.manifest(name, d), oci],
    [layout.blobLink(name, d), oci],
    [layout.referrer(name, d, d), oci],
    [layout.referrersAfter(name, d, 'x'), layout.referrers(name, d)],
    [layout.imageJson(id), `images/${id}/`],
    [layout.imageLayer(id), `images/${id}/`],
    [layout.conversion(id), `oci/images/${id}/`],
    [layout.conversionSource(d, id), layout.conversionSources(d)],
    [layout.tagGrant(id, 'pushed', name, { tag: t, top: id }), layout.repositoryGrants(id, 'pushed', name)],
    [layout.tagGrant(id, 'projection', name, { tag: t, top: id }), layout.repositoryGrants(id, 'projection', name)],
    [layout.manifestGrant(id, name, [d]), layout.repositoryGrants(id, 'projection', name)],
    [
      layout.manifestGrant(id, name, [sha256Digest('0'.repeat(64)), d]),
      layout.repositoryGrants(id, 'projection', name),
    ],
    [layout.outdatedGrant(id, 'pushed', name), layout.imageGrants(id, 'pushed')],
    [layout.outdatedGrant(id, 'projection', name), layout.imageGrants(id, 'projection')],
    [layout.outdatedGrant(id, 'pushed', name), layout.imageRecords(id)],
    [layout.outdatedGrant(id, 'projection', name), layout.imageRecords(id)],
    [layout.blobCopy(d, UUID), layout.blobFolder(d)],
    [layout.blobPointer(d, UUID, 1), layout.blobFolder(d)],
    [layout.blobMark(d, UUID), layout.blobFolder(d)],
  ];
}

describe('keys made of names', () => {
  it('stay in the folder of their repository for every valid name', () => {
    fc.assert(
      fc.property(repository, tag, digest, imageId, (name, t, d, id) => {
        assert.ok(layout.repository(name).startsWith(`repositories/${namespaceOf(name)}/`));
        for (const [key, folder] of keysOf(name, t, d, id)) {
          if (key === undefined) continue;
          assert.ok(key.startsWith(folder), `${key} in ${folder}`);
          const rest = key.slice(folder.length).split('/');
          assert.ok(
            rest.every((part) => part !== '' && part !== '.' && part !== '..'),
            key,
          );
          // biome-ignore lint/suspicious/noControlCharactersInRegex: it matches control characters
          assert.doesNotMatch(key, /[\u0000-\u001f\u007f]/);
          assert.ok(
            key.split('/').every((part) => part !== '' && part !== '.' && part !== '..'),
            key,
          );
          assert.ok(
            key.split('/').every((part) => Buffer.byteLength(part) <= 255),
            key,
          );
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('give each repository a folder that contains no other repository', () => {
    fc.assert(
      fc.property(repository, repository, (one, other) => {
        if (one === other) return;
        for (const folderOf of [layout.repository, layout.ociRepository]) {
          assert.ok(!folderOf(one).startsWith(folderOf(other)) && !folderOf(other).startsWith(folderOf(one)));
        }
      }),
      { numRuns: RUNS },
    );
  });

  it('give each tag an object that is not the metadata of another tag', () => {
    fc.assert(
      fc.property(repository, tag, tag, (name, one, other) => {
        if (one === other) return;
        assert.notEqual(layout.tag(name, one), layout.tag(name, other));
        assert.notEqual(layout.tagJson(name, one), layout.tag(name, other));
      }),
      { numRuns: RUNS },
    );
  });

  it('are parsed back to their repository', () => {
    fc.assert(
      fc.property(repository, (name) => {
        assert.equal(repositoryOf(namespaceOf(name), layout.repository(name)), name);
      }),
      { numRuns: RUNS },
    );
  });

  it('are made of references without a slash: a digest or a tag', () => {
    fc.assert(
      fc.property(
        parsedBy(parseReference, fc.oneof(text, fc.stringMatching(/^[A-Za-z0-9._:-]{1,20}$/))),
        (reference) => {
          const value = 'digest' in reference ? reference.digest : reference.tag;
          assert.match(value, /^[A-Za-z0-9_][A-Za-z0-9._:-]*$/);
        },
      ),
    );
  });
});

describe('a storage driver', () => {
  it('for files writes below the root only', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'stowage-layout-'));
    const driver = await FilesDriver.open(join(directory, 'root'));
    await fc.assert(
      fc.asyncProperty(repository, tag, digest, imageId, async (name, t, d, id) => {
        for (const [key] of keysOf(name, t, d, id).slice(0, 3))
          if (key !== undefined) await driver.put(key, Buffer.from('x'));
        assert.deepEqual(await readdir(directory), ['root']);
        const below = await readdir(join(directory, 'root'));
        assert.deepEqual(
          below.filter((entry) => !['repositories', 'oci', 'images', '.tmp'].includes(entry)),
          [],
        );
      }),
      { numRuns: 100 },
    );
    await rm(directory, { recursive: true });
  });

  it('for files refuses keys that leave the root', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'stowage-layout-'));
    const driver = await FilesDriver.open(join(directory, 'root'));
    for (const key of ['../x', 'a/../../x', '/x', 'a//x', 'a/./x', '', '.tmp/x', 'a\0b']) {
      await assert.rejects(driver.put(key as Key, Buffer.from('x')), /cannot be stored as a file/, key);
      await assert.rejects(driver.get(key as Key), /cannot be stored as a file/, key);
    }
    assert.deepEqual(await readdir(directory), ['root']);
    await rm(directory, { recursive: true });
  });

  it('for S3 sends requests for keys below the prefix only', async () => {
    const paths: string[] = [];
    const server = createServer((request, response) => {
      paths.push(request.url ?? '');
      request.resume().on('end', () => response.writeHead(200, { ETag: '"x"' }).end());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const driver = new S3Driver({
      bucket: 'bucket',
      keyPrefix: 'prefix/',
      region: 'us-east-1',
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      forcePathStyle: true,
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    });
    await fc.assert(
      fc.asyncProperty(repository, tag, digest, imageId, async (name, t, d, id) => {
        for (const [key] of keysOf(name, t, d, id).slice(0, 3)) {
          if (key === undefined) continue;
          paths.length = 0;
          await driver.put(key, Buffer.from('x'));
          const [path = ''] = paths;
          assert.equal(decodeURIComponent(path.split('?')[0] ?? ''), `/bucket/prefix/${key}`);
          const url = (await driver.presign?.('GET', key, { expiresSeconds: 60 })) ?? assert.fail();
          assert.ok(url.pathname.startsWith('/bucket/prefix/'), url.pathname);
        }
      }),
      { numRuns: 50 },
    );
    await driver.close();
    server.closeAllConnections();
    server.close();
  });
});

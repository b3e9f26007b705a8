import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { layout, parseRepositoryRecord } from '../../../lib/model/layout.ts';
import { parseManifest } from '../../../lib/model/manifest.ts';
import { type Digest, parseDigest, parseRepositoryName } from '../../../lib/model/names.ts';
import { Blobs } from '../../../lib/registry/blobs/blobs.ts';
import { ReusableBytes } from '../../../lib/registry/blobs/reusable-bytes.ts';
import { encodeFacts, factsOf, MANIFEST_KINDS, parseFacts } from '../../../lib/registry/manifests/facts.ts';
import { FactsStore } from '../../../lib/registry/manifests/stored-facts.ts';
import { type OpenedStorage, openFiles } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { digestOf, V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';

const repository = parseRepositoryName('facts/app');
const OCI = 'application/vnd.oci.image';

describe('the facts of a manifest', () => {
  it('are parsed to what they were made of, and their names fit into keys', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((value) => value.isWellFormed());
    const facts = fc
      .record({
        kind: fc.constantFrom(...MANIFEST_KINDS),
        totalBytes: fc.maxSafeNat(),
        seconds: fc.option(fc.integer({ min: -62_000_000_000, max: 250_000_000_000 }), { nil: undefined }),
        platforms: fc.array(text, { maxLength: 12 }),
        artifactType: fc.option(text, { nil: undefined }),
      })
      .map(({ seconds, artifactType, ...others }) => ({
        ...others,
        ...(seconds !== undefined && { createdAt: new Date(seconds * 1000) }),
        ...(artifactType !== undefined && { artifactType }),
      }));
    let inBody = 0;
    fc.assert(
      fc.property(facts, (original) => {
        const stored = encodeFacts(original);
        assert.deepEqual(parseFacts(stored), original);
        assert.ok(Buffer.byteLength(stored.name) <= 200);
        if (stored.body.length > 0) inBody++;
        const digest = parseDigest(digestOf(stored.name));
        const key = layout.facts(repository, digest, stored.name);
        assert.deepEqual(parseRepositoryRecord(key), { repository, kind: 'facts', digest, name: stored.name });
      }),
    );
    assert.ok(inBody > 0);
  });

  it('of another version, or malformed, are not parsed', () => {
    const body = new Uint8Array();
    for (const name of ['2.image.1..._', '1.image.x...', '1.other.1...', '1.image.1....x', '1.image.1.._._', ''])
      assert.equal(parseFacts({ name, body }), undefined, name);
  });

  const descriptor = (mediaType: string, text: string) => ({ mediaType, digest: digestOf(text), size: text.length });
  const parse = (manifest: object) => parseManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, ...manifest })));

  it('are short, however long the names in a manifest are', () => {
    const manifests = Array.from({ length: 5000 }, (_, n) => ({
      ...descriptor(`${OCI}.manifest.v1+json`, String(n)),
      platform: { os: n % 2 === 0 ? 'linux' : 'x'.repeat(500), architecture: String(n) },
    }));
    const index = { mediaType: `${OCI}.index.v1+json`, manifests, artifactType: 'y'.repeat(100_000) };
    const { platforms, artifactType } = factsOf(parse(index));
    assert.deepEqual([platforms.length, platforms[0], artifactType?.length], [100, 'linux/0', 255]);
  });

  it('say what an artifact is', () => {
    const of = (configType: string, layerType: string, more = {}) =>
      factsOf(
        parse({
          mediaType: `${OCI}.manifest.v1+json`,
          config: descriptor(configType, '{}'),
          layers: [descriptor(layerType, 'layer')],
          ...more,
        }),
      );
    const tar = `${OCI}.layer.v1.tar`;
    const empty = 'application/vnd.oci.empty.v1+json';
    const cacheConfig = 'application/vnd.buildkit.cacheconfig.v0';
    const kinds = [
      of(`${OCI}.config.v1+json`, tar),
      of('application/vnd.cncf.helm.config.v1+json', 'application/vnd.cncf.helm.chart.content.v1.tar+gzip'),
      of(`${OCI}.config.v1+json`, 'application/vnd.dev.cosign.simplesigning.v1+json'),
      of(`${OCI}.config.v1+json`, 'application/vnd.in-toto+json'),
      of(empty, 'text/spdx+json', { artifactType: 'application/spdx+json' }),
      of(empty, 'text/plain', { artifactType: 'application/x.other' }),
      of(cacheConfig, tar),
      factsOf(
        parse({
          mediaType: `${OCI}.index.v1+json`,
          manifests: [descriptor(tar, 'layer'), descriptor(cacheConfig, '{}')],
        }),
      ),
    ].map(({ kind }) => kind);
    assert.deepEqual(kinds, ['image', 'chart', 'signature', 'attestation', 'sbom', 'artifact', 'cache', 'cache']);
  });

  it('call an index of images an index, whatever else it lists', () => {
    const sbom = descriptor('application/spdx+json', 'sbom');
    const indexOf = (...manifests: object[]) => factsOf(parse({ mediaType: `${OCI}.index.v1+json`, manifests })).kind;
    assert.equal(indexOf(descriptor(`${OCI}.manifest.v1+json`, 'image'), sbom), 'index');
    assert.equal(indexOf(sbom), 'sbom');
  });

  it('call a bundle of Sigstore what it signs, and nothing else by the annotation that says so', () => {
    const bundle = 'application/vnd.dev.sigstore.bundle.v0.3+json';
    const kindOf = (predicateType: string | undefined, artifactType = bundle) =>
      factsOf(
        parse({
          mediaType: `${OCI}.manifest.v1+json`,
          artifactType,
          config: descriptor('application/vnd.oci.empty.v1+json', '{}'),
          layers: [descriptor(artifactType, 'layer')],
          ...(predicateType && { annotations: { 'dev.sigstore.bundle.predicateType': predicateType } }),
        }),
      ).kind;
    assert.equal(kindOf(undefined), 'signature');
    assert.equal(kindOf('https://sigstore.dev/cosign/sign/v1'), 'signature');
    assert.equal(kindOf('https://slsa.dev/provenance/v1'), 'attestation');
    assert.equal(kindOf('https://spdx.dev/Document'), 'sbom');
    assert.equal(kindOf('https://cyclonedx.org/bom'), 'sbom');
    assert.equal(kindOf('https://spdx.dev/Document', 'application/x.other'), 'artifact');
  });
});

describe('the facts of a repository', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  let facts: FactsStore;
  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver);
    client = new V2Client(server.url);
    const lookAtImage = async () => {};
    const blobs = new Blobs(storage.driver, new ReusableBytes(storage.driver, { lookAtImage }));
    facts = new FactsStore(storage.driver, { blobs, background: undefined });
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });
  const all = async () => {
    await server.idle();
    return await facts.all(repository);
  };

  it('are written behind a push: of an image from its config, of an index from its children', async () => {
    const image = await pushImage(client, repository, undefined, { contents: ['a', 'b'] });
    const { config, layers } = image.manifest as { config: { size: number }; layers: { size: number }[] };
    const totalBytes = [config, ...layers].reduce((sum, { size }) => sum + size, 0);
    const expected = {
      kind: 'image',
      totalBytes,
      createdAt: new Date('2026-01-02T03:04:05Z'),
      platforms: ['linux/amd64'],
    };
    assert.deepEqual((await all()).get(image.digest as Digest), expected);
    const child = { mediaType: `${OCI}.manifest.v1+json`, digest: image.digest, size: image.sizeBytes };
    const index = {
      schemaVersion: 2,
      mediaType: `${OCI}.index.v1+json`,
      manifests: [{ ...child, platform: { os: 'linux', architecture: 'amd64' } }],
    };
    assert.equal((await client.pushManifest(repository, 'index', index)).status, 201);
    const ofIndex = (await all()).get(parseDigest(digestOf(JSON.stringify(index))));
    assert.deepEqual(ofIndex, { kind: 'index', totalBytes, platforms: ['linux/amd64'] });
  });

  it('are made again where they are missing, and not for a manifest that is not there', async () => {
    const { digest } = await pushImage(client, repository, 'again', { contents: ['again'] });
    await server.idle();
    const written = await facts.find(repository, parseDigest(digest));
    for await (const { key } of storage.driver.list(layout.manifestFacts(repository, parseDigest(digest))))
      await storage.driver.delete(key);
    assert.deepEqual(await facts.find(repository, parseDigest(digest)), written);
    assert.deepEqual((await all()).get(parseDigest(digest)), written);
    assert.equal(await facts.find(repository, parseDigest(digestOf('none'))), undefined);
  });
});

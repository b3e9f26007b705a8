import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { layout } from '../../lib/model/layout.ts';
import { parseDigest, parseTag } from '../../lib/model/names.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { digestOf, V2Client } from '../v2/client.ts';
import { Browser } from './browser.ts';
import { IMAGE, IMAGE_DIGEST, REPOSITORY, readFixture, trustedKey } from './data/signatures/fixture.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const NOTATION = 'application/vnd.cncf.notary.signature';
const SIGNATURE = 'dev.cosignproject.cosign/signature';
const COSIGN_TAG = `sha256-${IMAGE_DIGEST.slice(7)}.sig`;
const PAGE = `/ui/r/${REPOSITORY}@${IMAGE_DIGEST}?view=referrers`;
/** Names of fields have no escapes. */
const EVIL_NAME = "<script>alert(1)</script><img src=x onerror=alert(1)>'";
const EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>\'&lt;';

type Layer = { mediaType: string; bytes: Buffer; annotations?: Record<string, string> };

const cosign: Layer = {
  mediaType: SIMPLE_SIGNING,
  bytes: readFixture('cosign.payload'),
  annotations: JSON.parse(readFixture('cosign.manifest').toString()).layers[0].annotations,
};
const bundle: Layer = { mediaType: BUNDLE, bytes: readFixture('signature.bundle') };
const notation: Layer = { mediaType: 'application/jose+json', bytes: readFixture('notation-ec.jws') };
const cose: Layer = { mediaType: 'application/cose', bytes: readFixture('notation-ec.cose') };

describe('the page of what refers to a manifest', () => {
  let storage: OpenedStorage;
  /** They trust the keys that made the signatures; none; and these keys for other repositories. */
  let trusting: RegistryServer;
  let trustless: RegistryServer;
  let foreign: RegistryServer;
  let client: V2Client;

  before(async () => {
    storage = await openFiles();
    const keys = [trustedKey('cosign.pub'), trustedKey('ec-root')];
    trusting = await startRegistry(storage.driver, { trustedKeys: keys });
    trustless = await startRegistry(storage.driver);
    const elsewhere = keys.map((key) => ({ ...key, isFor: (repository: string) => repository === 'other/app' }));
    foreign = await startRegistry(storage.driver, { trustedKeys: elsewhere });
    client = new V2Client(trusting.url);
    await storage.driver.put(layout.manifest(REPOSITORY, IMAGE_DIGEST), IMAGE);
  });
  after(async () => {
    await Promise.all([trusting, trustless, foreign].map((server) => server.stop()));
    await storage.close();
  });

  /** Pushes a manifest with these layers, and returns its digest. */
  async function push(
    reference: string,
    layers: Layer[],
    { artifactType, subject, annotations }: { artifactType?: string; subject?: string; annotations?: object } = {},
  ): Promise<string> {
    const descriptors = [];
    for (const { mediaType, bytes, annotations: own } of [
      { mediaType: MANIFEST, bytes: Buffer.from('{}') },
      ...layers,
    ] as Layer[]) {
      const { digest } = await client.pushBlob(REPOSITORY, bytes);
      descriptors.push({ mediaType, digest, size: bytes.length, ...(own && { annotations: own }) });
    }
    const [config, ...rest] = descriptors;
    const manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: { ...config, mediaType: 'application/vnd.oci.empty.v1+json' },
      layers: rest,
      ...(artifactType && { artifactType }),
      ...(subject && { subject: { mediaType: MANIFEST, digest: subject, size: IMAGE.length } }),
      ...(annotations && { annotations }),
    };
    const digest = digestOf(JSON.stringify(manifest));
    const response = await client.pushManifest(REPOSITORY, reference === '' ? digest : reference, manifest);
    assert.equal(response.status, 201, await response.text());
    return digest;
  }

  const attach = (layers: Layer[], artifactType: string, annotations?: object) =>
    push('', layers, { artifactType, subject: IMAGE_DIGEST, ...(annotations && { annotations }) });

  const open = async (server: RegistryServer, path = PAGE): Promise<string> => {
    await trusting.idle();
    const { status, text } = await new Browser(server.url).open(path);
    assert.equal(status, 200, path);
    return text;
  };
  /** The parts of a page that are signatures; the list of referrers follows them. */
  const partsOf = (text: string): string[] =>
    (text.split('<table>')[0] ?? '').split('<div class="panel claim">').slice(1);
  /** The part for the signature that a manifest holds. */
  const partOf = (text: string, digest: string): string =>
    partsOf(text).find((part) => part.includes(digest)) ?? assert.fail(`no ${digest}`);

  it('names the key that made each signature: by tag, as referrer, as bundle, of notation', async () => {
    const digests: [string, string][] = [
      [await push(COSIGN_TAG, [cosign]), 'cosign.pub'],
      [await attach([cosign], 'application/vnd.dev.cosign.artifact.sig.v1+json'), 'cosign.pub'],
      [await attach([bundle], BUNDLE), 'cosign.pub'],
      [await attach([notation], NOTATION), 'ec-root'],
      [await attach([cose], NOTATION), 'ec-root'],
    ];
    const [verified, without, elsewhere] = await Promise.all(
      [trusting, trustless, foreign].map((server) => open(server)),
    );
    for (const [digest, key] of digests) {
      const part = partOf(verified ?? '', digest);
      for (const shown of [`verified by key ${key}`, 'this manifest', '>who<']) assert.ok(part.includes(shown), shown);
      for (const text of [without, elsewhere]) {
        assert.match(partOf(text ?? '', digest), />not verified<.*No key or certificate/s);
        assert.ok(!text?.includes('verified by key'));
      }
    }
  });

  it('verifies a statement that a tag attaches, and lists nothing that is not signed', async () => {
    const statement: Layer = {
      mediaType: 'application/vnd.dsse.envelope.v1+json',
      bytes: readFixture('attestation.dsse'),
    };
    const attached = await push(COSIGN_TAG.replace('.sig', '.att'), [statement]);
    const unsigned = await attach(
      [{ mediaType: 'application/vnd.in-toto+json', bytes: Buffer.from('{}') }],
      'application/vnd.in-toto+json',
    );
    const text = await open(trusting);
    assert.match(partOf(text, attached), /verified by key cosign\.pub.*signed statement.*slsa\.dev\/provenance/s);
    assert.ok(text.includes(`@${unsigned}`), 'the list has it');
    assert.ok(!partsOf(text).some((part) => part.includes(unsigned)), 'it is no signature');
  });

  it('does not verify a signature of this manifest on the page of another', async () => {
    const other = await push('other', [{ mediaType: 'text/plain', bytes: Buffer.from('other') }]);
    const copied = await push('', [cosign, bundle], { artifactType: BUNDLE, subject: other });
    const text = await open(trusting, `/ui/r/${REPOSITORY}@${other}?view=referrers`);
    assert.match(partOf(text, copied), />not verified<.*of another manifest/s);
    assert.ok(text.includes(IMAGE_DIGEST) && !text.includes('verified by key'));
  });

  it('does not verify a manifest that has an annotation twice', async () => {
    const { digest } = await client.pushBlob(REPOSITORY, cosign.bytes);
    const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 };
    const layer = JSON.stringify({
      mediaType: SIMPLE_SIGNING,
      digest,
      size: cosign.bytes.length,
      annotations: cosign.annotations,
    });
    const twice = layer.replace(`"${SIGNATURE}":`, `"${SIGNATURE}":"AAAA","${SIGNATURE}":`);
    const subject = { mediaType: MANIFEST, digest: IMAGE_DIGEST, size: IMAGE.length };
    const body = Buffer.from(
      `{"schemaVersion":2,"mediaType":"${MANIFEST}","config":${JSON.stringify(config)},"layers":[${twice}],"subject":${JSON.stringify(subject)}}`,
    );
    const pushed = digestOf(body);
    const path = `/v2/${REPOSITORY}/manifests/${pushed}`;
    const response = await client.send('PUT', path, { body, headers: { 'Content-Type': MANIFEST } });
    assert.equal(response.status, 201);
    assert.match(partOf(await open(trusting), pushed), />not verified<.*names a field twice/s);
    assert.equal((await client.send('DELETE', path)).status, 202);
  });

  it('says of each signature that cannot be read why, and never fails', async () => {
    const text = (content: string) => Buffer.from(content);
    const large = Buffer.alloc(4 * 1024 * 1024 + 1, ' ');
    const cases: [Layer[], string, RegExp][] = [
      [[{ mediaType: 'application/cose', bytes: text('x') }], NOTATION, /not the form/],
      [[{ mediaType: 'application/cose', bytes: Buffer.alloc(100_000, 0xd2) }], NOTATION, /not the form/],
      [[{ mediaType: 'application/cose', bytes: notation.bytes }], NOTATION, /not the form/],
      [[{ mediaType: 'application/jose+json', bytes: cose.bytes }], NOTATION, /not the form/],
      [[{ mediaType: 'text/plain', bytes: text('x') }], NOTATION, /of another type/],
      [[{ mediaType: 'application/jose+json', bytes: text('{}') }], NOTATION, /not the form/],
      [[{ mediaType: BUNDLE, bytes: text('{"mediaType":7}') }], BUNDLE, /not the form/],
      [[{ mediaType: BUNDLE, bytes: text('['.repeat(10_000)) }], BUNDLE, /not the form/],
      [[{ mediaType: SIMPLE_SIGNING, bytes: text('{"critical":{}}') }], BUNDLE, /not the form/],
      [[{ mediaType: BUNDLE, bytes: large }], BUNDLE, /too large/],
    ];
    const digests: string[] = [];
    for (const [layers, type] of cases) digests.push(await attach(layers, type));
    const gone: Layer = { mediaType: BUNDLE, bytes: text('gone') };
    const absent = await attach([gone], BUNDLE);
    await storage.driver.delete(layout.blobLink(REPOSITORY, parseDigest(digestOf(gone.bytes))));
    const page = await open(trusting);
    for (const [index, [, , why]] of cases.entries()) {
      const part = partOf(page, digests[index] ?? '');
      assert.match(part, />not verified</);
      assert.match(part, why);
    }
    assert.match(partOf(page, absent), /does not hold what was signed/);
    for (const digest of [...digests, absent]) {
      assert.equal((await client.send('DELETE', `/v2/${REPOSITORY}/manifests/${digest}`)).status, 202);
    }
  });

  it('shows every field of a signature as text', async () => {
    const payload = {
      critical: {
        type: 'cosign container image signature',
        identity: { 'docker-reference': EVIL },
        image: { 'docker-manifest-digest': EVIL },
      },
      optional: { [EVIL_NAME]: EVIL, timestamp: EVIL, object: { [EVIL_NAME]: [EVIL] } },
    };
    const signed = (bytes: Buffer) => ({
      [SIGNATURE]: bytes.toString('base64'),
      'dev.sigstore.cosign/certificate': EVIL,
    });
    const statement = {
      _type: EVIL,
      predicateType: EVIL,
      subject: [{ digest: { [EVIL_NAME]: EVIL }, annotations: { [EVIL_NAME]: EVIL } }],
    };
    const envelope = {
      payloadType: EVIL,
      payload: Buffer.from(JSON.stringify(statement)).toString('base64'),
      signatures: [{ sig: 'AAAA', keyid: EVIL }],
    };
    const of = (value: object): Buffer => Buffer.from(JSON.stringify(value));
    const digest = await attach(
      [
        { mediaType: SIMPLE_SIGNING, bytes: of(payload), annotations: signed(of(payload)) },
        { mediaType: 'application/vnd.dsse.envelope.v1+json', bytes: of(envelope) },
        { mediaType: BUNDLE, bytes: of({ mediaType: BUNDLE, verificationMaterial: {}, dsseEnvelope: envelope }) },
      ],
      EVIL,
      { [EVIL_NAME]: EVIL, 'dev.sigstore.bundle.predicateType': EVIL },
    );
    const text = await open(trusting);
    assert.doesNotMatch(text, /<script>alert|<img|"javascript:/);
    const parts = partsOf(text).filter((part) => part.includes(digest));
    assert.equal(parts.length, 3);
    assert.ok(parts.every((part) => part.includes('&lt;script&gt;')));
    assert.ok(parts.every((part) => part.includes('not verified')));
    assert.equal((await client.send('DELETE', `/v2/${REPOSITORY}/manifests/${digest}`)).status, 202);
  });

  it('has 25 referrers on a page, and the signatures by tag on the first', async () => {
    const byTag = await push(COSIGN_TAG, [cosign]);
    for (let n = 0; n < 30; n++) await attach([bundle], BUNDLE, { n: String(n) });
    const seen = new Set<string>();
    let path = PAGE;
    for (let pages = 0; ; pages++) {
      const text = await open(trusting, path);
      const referrers = [...text.matchAll(/<th scope="row" class="wide"><a href="[^"]+@(sha256:[a-f0-9]+)"/g)];
      assert.ok(referrers.length <= 25);
      for (const [, digest = ''] of referrers) {
        assert.ok(!seen.has(digest), 'once');
        seen.add(digest);
      }
      assert.equal(
        partsOf(text).some((part) => part.includes(byTag)),
        pages === 0,
      );
      const next = /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&');
      if (next === undefined) break;
      path = next;
    }
    assert.ok(seen.size >= 33, `${seen.size}`);
    for (const after of ['..', 'x', `${'0'.repeat(63)}/`])
      await open(trusting, `${PAGE}&after=${encodeURIComponent(after)}`);
  });

  it('shows 50 signatures of a manifest, and says how many more there are', async () => {
    const many = Array.from(
      { length: 60 },
      (_, n): Layer => ({ ...cosign, annotations: { ...cosign.annotations, n: String(n) } }),
    );
    await push(COSIGN_TAG, many);
    const text = await open(trusting);
    assert.equal(partsOf(text).length, 50);
    assert.match(text, /\d+ further signatures of these manifests are not shown/);
  });

  it('leaves the mark in the list of tags at "signed", also where a signature is verified', async () => {
    await storage.driver.put(layout.tag(REPOSITORY, parseTag('1')), encodeText(IMAGE_DIGEST.slice(7)));
    const list = await open(trusting, `/ui/r/${REPOSITORY}`);
    assert.match(list, />signed</);
    assert.ok(!list.includes('verified'));
  });
});

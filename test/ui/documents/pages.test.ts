// SBOMs and attestations on the pages of what holds them, over storage on disk.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { layout } from '../../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName } from '../../../lib/model/names.ts';
import { MAX_DOCUMENT_BYTES } from '../../../lib/ui/data/documents.ts';
import { basic, openTestAuth } from '../../auth/test-auth.ts';
import { type OpenedStorage, openFiles } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';
import { Browser } from '../browser.ts';
import { type Layer, pushArtifact } from './push-artifact.ts';
import {
  CYCLONEDX,
  envelope,
  PREDICATE_TYPES,
  PROVENANCE_1,
  PROVENANCE_02,
  SPDX,
  SPDX3,
  SYFT,
  statement,
} from './samples.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const IN_TOTO = 'application/vnd.in-toto+json';

describe('the page of an artifact', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  let browser: Browser;
  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver);
    client = new V2Client(server.url);
    browser = new Browser(server.url);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const textOf = async (path: string): Promise<string> => {
    await server.idle();
    const { status, text } = await browser.open(path);
    assert.equal(status, 200, path);
    return text;
  };
  const pageOf = async (
    layer: Layer,
    fields: { artifactType?: string; annotations?: object } = {},
  ): Promise<string> => {
    const { digest } = await pushArtifact(client, 'docs/one', { layers: [layer], ...fields });
    return await textOf(`/ui/r/docs/one@${digest}`);
  };
  const assertShows = (text: string, shown: readonly string[]) => {
    for (const part of shown) assert.ok(text.includes(part), `${part} is not in ${text}`);
  };

  it('shows the packages of an SBOM, by the media type of its layer or of the artifact', async () => {
    const spdx = ['SPDX 2.3', 'syft-v0.105.0', '3 packages', '>libssl3<', '>3.0.15-1<', '>deb<', '>Apache-2.0<'];
    for (const mediaType of ['application/spdx+json', 'text/spdx+json'])
      assertShows(await pageOf({ mediaType, content: SPDX }), spdx);
    const untyped = { mediaType: 'application/vnd.oci.image.layer.v1.tar', content: SPDX };
    assertShows(await pageOf(untyped, { artifactType: 'application/spdx+json' }), spdx);
    assertShows(await pageOf({ mediaType: 'application/vnd.cyclonedx+json', content: CYCLONEDX }), [
      'CycloneDX 1.6',
      'trivy 0.59.1',
      'org.apache/commons',
      'Apache-2.0, MIT OR ISC',
    ]);
    assertShows(await pageOf({ mediaType: 'application/vnd.syft+json', content: SYFT }), ['Syft 16.0.36', '>bash<']);
    assertShows(await pageOf({ mediaType: 'application/spdx+json', content: SPDX3 }), ['SPDX 3', 'MIT AND ISC']);
  });

  it('shows what a statement says, signed or not', async () => {
    const stated = statement(PREDICATE_TYPES.provenance02, PROVENANCE_02);
    const provenance = [
      'href="https://github.com/docker/buildx/actions/runs/3709599520" rel="noopener noreferrer nofollow"',
      'href="https://github.com/org/repo.git"',
      'deadbeefcafebabe',
      '<code>Dockerfile</code>',
      'pkg:docker/alpine@3.17?platform=linux%2Famd64',
      'datetime="2021-11-17T15:00:00.000Z"',
      'not verified',
    ];
    assertShows(await pageOf({ mediaType: IN_TOTO, content: stated }), provenance);
    assertShows(
      await pageOf({ mediaType: 'application/vnd.dsse.envelope.v1+json', content: envelope(stated) }),
      provenance,
    );
    const other = statement('https://in-toto.io/attestation/vulns/v0.1', {});
    assert.match(await pageOf({ mediaType: IN_TOTO, content: other }), /Statements of this type are not shown/);
  });

  it('is headed by what the document says, as far as annotations tell', async () => {
    const content = envelope(statement(PREDICATE_TYPES.provenance1, PROVENANCE_1));
    const dsse = 'application/vnd.dsse.envelope.v1+json';
    const bundle = 'application/vnd.dev.sigstore.bundle.v0.3+json';
    const predicateType = PREDICATE_TYPES.provenance1;
    const headed = async (...options: Parameters<typeof pageOf>) =>
      /<section><h2>([^<]*)/.exec(await pageOf(...options))?.[1];
    assert.equal(await headed({ mediaType: dsse, content }), 'Statement');
    assert.equal(await headed({ mediaType: dsse, content, annotations: { predicateType } }), 'SLSA provenance');
    const annotations = { 'dev.sigstore.bundle.predicateType': predicateType };
    assert.equal(
      await headed({ mediaType: bundle, content }, { artifactType: bundle, annotations }),
      'SLSA provenance',
    );
    const file = { mediaType: 'application/vnd.oci.image.layer.v1.tar', content: CYCLONEDX };
    assert.equal(await headed(file, { artifactType: 'application/vnd.cyclonedx+json' }), 'CycloneDX');
  });

  it('finds packages without a script, and shows them 50 at a time', async () => {
    const packages = Array.from({ length: 120 }, (_, n) => ({ name: `package-${n}`, versionInfo: `1.${n}` }));
    const { digest } = await pushArtifact(client, 'docs/many', {
      layers: [{ mediaType: 'application/spdx+json', content: { ...SPDX, packages } }],
    });
    const path = `/ui/r/docs/many@${digest}`;
    const rowsOf = (text: string) => [...text.matchAll(/data-names="package-(\d+) /g)].map(([, n]) => Number(n));
    const first = await textOf(path);
    assert.deepEqual(rowsOf(first), [...Array(50).keys()]);
    assertShows(first, ['1–50 of 120', `<form class="filters" action="${path}" method="get">`]);
    const next = /rel="next" href="([^"]+)"/.exec(first)?.[1]?.replaceAll('&amp;', '&') ?? '';
    assert.deepEqual(rowsOf(await textOf(next))[0], 50);
    const found = await textOf(`${path}?filter=PACKAGE-11`);
    assert.deepEqual(rowsOf(found), [11, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119]);
    assertShows(found, ['value="PACKAGE-11"']);
    assertShows(await textOf(`${path}?filter=nothing`), ['No package matches']);
    for (const from of ['-5', 'x', '1e99', '100000'])
      assert.equal((await browser.open(`${path}?from=${from}`)).status, 200);
    assert.ok(gzipSync(first).length < 12_000);
  });

  it('of BuildKit in an index is named after its platform, with a tab for each statement', async () => {
    const repository = 'docs/buildkit';
    const images = await Promise.all(
      ['amd64', 'arm64'].map(async (architecture) => {
        const image = await pushImage(client, repository, undefined, {
          contents: [architecture],
          config: { architecture },
        });
        return { image, architecture };
      }),
    );
    const children = [];
    for (const { image, architecture } of images) {
      const { digest, size } = await pushArtifact(client, repository, {
        layers: [
          {
            mediaType: IN_TOTO,
            content: statement(PREDICATE_TYPES.spdx, { ...SPDX, name: `of-${architecture}` }),
            predicateType: PREDICATE_TYPES.spdx,
          },
          {
            mediaType: IN_TOTO,
            content: statement(PREDICATE_TYPES.provenance1, PROVENANCE_1),
            predicateType: PREDICATE_TYPES.provenance1,
          },
        ],
      });
      children.push(
        { mediaType: MANIFEST, digest: image.digest, size: image.sizeBytes, platform: { os: 'linux', architecture } },
        {
          mediaType: MANIFEST,
          digest,
          size,
          platform: { os: 'unknown', architecture: 'unknown' },
          annotations: {
            'vnd.docker.reference.type': 'attestation-manifest',
            'vnd.docker.reference.digest': image.digest,
          },
        },
      );
    }
    const index = { schemaVersion: 2, mediaType: INDEX, manifests: children };
    assert.equal((await client.pushManifest(repository, '1', index)).status, 201);
    const page = await textOf(`/ui/r/${repository}:1`);
    assertShows(page, ['>linux/amd64<', '>Attestation of linux/amd64<', '>Attestation of linux/arm64<']);
    assert.ok(!page.includes('unknown/unknown'));
    const sbom = await textOf(`/ui/r/${repository}:1?child=${children[3]?.digest}`);
    assertShows(sbom, ['of-arm64', '>libssl3<', '>SPDX<', '>SLSA provenance<']);
    const [, provenance = ''] = /href="([^"]+document=2)"/.exec(sbom) ?? [];
    assertShows(await textOf(provenance.replaceAll('&amp;', '&')), ['4b220de5058abfd01ff619c9d2ff6b09a049bea0']);
    const referrers = await textOf(`/ui/r/${repository}:1?view=referrers`);
    assertShows(referrers, [
      '>attestation of linux/amd64<',
      `@${children[3]?.digest}"`,
      '>attestation of linux/arm64<',
    ]);
    const found = await textOf(`/ui/r/${repository}:1?child=${children[3]?.digest}&filter=lodash`);
    assertShows(found, ['>lodash<', `name="child" value="${children[3]?.digest}"`]);
    assert.ok(!found.includes('>libssl3<'));
  });

  it('that a tag of cosign attaches is among what refers to the image', async () => {
    const image = await pushImage(client, 'docs/tagged', '1', { contents: ['tagged'] });
    assert.match(await textOf('/ui/r/docs/tagged:1?view=referrers'), /No signature, SBOM or other artifact/);
    const layers = { sbom: { mediaType: 'text/spdx+json', content: SPDX }, att: { mediaType: IN_TOTO, content: '{}' } };
    for (const [end, layer] of Object.entries(layers)) {
      const tag = `${image.digest.replace(':', '-')}.${end}`;
      const { digest } = await pushArtifact(client, 'docs/tagged', { tag, layers: [layer] });
      const text = await textOf('/ui/r/docs/tagged:1?view=referrers');
      assertShows(text, [
        `href="/ui/r/docs/tagged@${digest}"`,
        end === 'sbom' ? '<td>SBOM</td>' : '<td>attestation</td>',
      ]);
    }
  });

  it('of a compressed document shows its content', async () => {
    const content = gzipSync(JSON.stringify(SPDX));
    assertShows(await pageOf({ mediaType: 'application/spdx+json+gzip', content }), ['>libssl3<']);
  });

  it('says what is wrong with a document that it cannot show, and leads to the bytes', async () => {
    const spdx = 'application/spdx+json';
    const bomb = gzipSync(Buffer.alloc(MAX_DOCUMENT_BYTES + 1, ' '));
    const cases: [string, unknown, RegExp][] = [
      ['no JSON', 'SPDXVersion: SPDX-2.3\n', /no valid JSON/],
      ['cut off', JSON.stringify(SPDX).slice(0, -1), /no valid JSON/],
      ['deep', '['.repeat(10_000), /no valid JSON/],
      ['empty', ' ', /no valid JSON/],
      ['another shape', '{"packages":{"a":1}}', /neither an SPDX/],
      ['a list', '[]', /neither an SPDX/],
      ['no packages', { ...SPDX, packages: [] }, /lists no packages/],
      ['damaged gzip', gzipSync(JSON.stringify(SPDX)).subarray(0, 60), /compression is damaged/],
      ['too large, unpacked', bomb, /larger than 32\.0 MiB/],
    ];
    for (const [name, content, expected] of cases) {
      const text = await pageOf({ mediaType: spdx, content });
      assert.match(text, expected, name);
      assert.match(text, /href="[^"]+@sha256:[a-f0-9]{64}\?download=1"/, name);
    }
  });

  it('does not show bytes that have another digest than the manifest says', async () => {
    const { digest, blobs } = await pushArtifact(client, 'docs/changed', {
      layers: [{ mediaType: 'application/spdx+json', content: { ...SPDX, name: 'unchanged' } }],
    });
    const repository = parseRepositoryName('docs/changed');
    const key = layout.blobLink(repository, parseDigest(blobs[0] ?? ''));
    const link = await storage.driver.get(key);
    assert.ok(link);
    const { key: bytesKey } = JSON.parse(await new Response(link.body).text());
    await storage.driver.put(bytesKey, Buffer.from(JSON.stringify({ ...SPDX, name: 'otherwise' })));
    const text = await textOf(`/ui/r/docs/changed@${digest}`);
    assert.match(text, /do not have the digest/);
    assert.doesNotMatch(text, /libssl3|otherwise/);
  });

  it('says that the repository does not hold a document', async () => {
    const { digest, blobs } = await pushArtifact(client, 'docs/gone', {
      layers: [{ mediaType: 'application/spdx+json', content: { ...SPDX, name: 'gone' } }],
    });
    await client.send('DELETE', `/v2/docs/gone/blobs/${blobs[0]}`);
    assert.match(await textOf(`/ui/r/docs/gone@${digest}`), /The repository does not hold it/);
    assert.equal((await browser.open(`/ui/r/docs/gone@${blobs[0]}?download=1`)).status, 404);
  });

  it('does not read a document of more than 32 MiB, which is downloaded as it is', async () => {
    const bytes = Buffer.alloc(MAX_DOCUMENT_BYTES + 1, ' ');
    bytes.write('{"spdxVersion":"SPDX-2.3"}');
    const { digest, blobs } = await pushArtifact(client, 'docs/large', {
      layers: [{ mediaType: 'application/spdx+json', content: bytes }],
    });
    const text = await textOf(`/ui/r/docs/large@${digest}`);
    assert.match(text, /larger than 32\.0 MiB/);
    const [, path = ''] = /href="([^"]+\?download=1)"/.exec(text) ?? [];
    const response = await fetch(new URL(path, server.url));
    assert.equal(response.headers.get('Content-Type'), 'application/octet-stream');
    assert.match(response.headers.get('Content-Disposition') ?? '', /^attachment; filename="[a-f0-9]{12}\.json"$/);
    assert.equal(response.headers.get('X-Content-Type-Options'), 'nosniff');
    assert.equal((await response.arrayBuffer()).byteLength, bytes.length);
    assert.ok(path.includes(blobs[0] ?? '-'));
  });

  it('shows every field of a document as text, and links to the web only', async () => {
    const evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>\'&lt;';
    const url = `javascript:${evil}`;
    const replaced = (value: unknown): unknown => {
      if (typeof value === 'string') return value.startsWith('https:') ? url : evil;
      if (Array.isArray(value)) return value.map(replaced);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, replaced(item)]));
    };
    const spdx = {
      ...(replaced(SPDX) as object),
      spdxVersion: `SPDX-${evil}`,
      creationInfo: { created: evil, creators: [`Tool: ${evil}`] },
      packages: [
        {
          name: evil,
          versionInfo: evil,
          licenseConcluded: evil,
          externalRefs: [{ referenceType: 'purl', referenceLocator: `pkg:${evil}/x` }],
          primaryPackagePurpose: evil,
        },
      ],
    };
    const cyclonedx = { ...(replaced(CYCLONEDX) as object), bomFormat: 'CycloneDX' };
    const vcs = { source: `https://x/${evil}`, revision: evil };
    const provenance = {
      ...(replaced(PROVENANCE_02) as object),
      invocation: { configSource: { entryPoint: evil }, environment: { platform: evil } },
      metadata: { 'https://mobyproject.org/buildkit@v1#metadata': { vcs }, buildStartedOn: evil },
      materials: [{ uri: url, digest: { [evil]: evil } }, { uri: `https://${evil}` }],
    };
    const contents = [
      spdx,
      cyclonedx,
      replaced(SYFT),
      {
        '@graph': [
          { type: 'SpdxDocument', name: evil },
          { type: 'software_Package', name: evil },
        ],
      },
      statement(PREDICATE_TYPES.provenance02, provenance),
      {
        ...statement(PREDICATE_TYPES.provenance1, replaced(PROVENANCE_1)),
        subject: [{ name: evil, digest: { [evil]: evil } }],
      },
      envelope(statement(evil, {})),
      statement(`https://x/${evil}`, {}),
    ];
    const layers = contents.map((content) => ({
      mediaType: `application/spdx+json${evil}`,
      content,
      predicateType: evil,
    }));
    const { digest } = await pushArtifact(client, 'docs/evil', { layers, artifactType: `spdx ${evil}` });
    for (const [index] of contents.entries()) {
      for (const filter of ['', evil]) {
        const query = new URLSearchParams({ document: String(index + 1), filter });
        const text = await textOf(`/ui/r/docs/evil@${digest}?${query}`);
        assert.doesNotMatch(text, /<script>alert|<img|"javascript:| on[a-z]+="/, `document ${index + 1}`);
        if (index < 7) assert.ok(text.includes('&lt;script&gt;alert'), `document ${index + 1} shows it`);
      }
    }
  });
});

describe('the documents of a repository', () => {
  it('are read and downloaded by those who may pull from it, and from no other repository', async () => {
    const storage = await openFiles();
    const auth = await openTestAuth({
      users: ['alice', 'bob'],
      access: [
        { repositories: ['alice/*'], users: ['alice'], actions: ['pull', 'push'] },
        { repositories: ['bob/*'], users: ['bob'], actions: ['pull', 'push'] },
      ],
    });
    const server = await startRegistry(storage.driver, { auth });
    try {
      const { digest, blobs } = await pushArtifact(new V2Client(server.url, basic('alice')), 'alice/app', {
        layers: [{ mediaType: 'application/spdx+json', content: SPDX }],
      });
      await pushImage(new V2Client(server.url, basic('bob')), 'bob/app', '1', { contents: ['b'] });
      await server.idle();
      const statusesOf = async (browser: Browser) => {
        const pages = [`alice/app@${digest}`, `alice/app@${blobs[0]}?download=1`, `bob/app@${blobs[0]}?download=1`];
        const opened = await Promise.all(pages.map((page) => browser.open(`/ui/r/${page}`)));
        return opened.map(({ status, text }) => [status, text.includes('libssl3')]);
      };
      const [alice, bob, nobody] = [new Browser(server.url), new Browser(server.url), new Browser(server.url)];
      await alice.login('alice');
      await bob.login('bob');
      assert.deepEqual(await statusesOf(alice), [
        [200, true],
        [200, true],
        [403, false],
      ]);
      assert.deepEqual(await statusesOf(bob), [
        [403, false],
        [403, false],
        [404, false],
      ]);
      for (const [, shows] of await statusesOf(nobody)) assert.equal(shows, false);
    } finally {
      await server.stop();
      await storage.close();
    }
  });
});

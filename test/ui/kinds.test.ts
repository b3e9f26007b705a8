// Pages of what is no plain image, of large repositories, and of invalid requests.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { layout } from '../../lib/model/layout.ts';
import { type ImageId, parseDigest, parseImageId, parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { tar } from '../support/tar.ts';
import { until } from '../support/until.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { Browser, tokenOf } from './browser.ts';

const OCI = 'application/vnd.oci.image';
const ATTESTATION = 'vnd.docker.reference.type';

describe('the pages of', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  let browser: Browser;
  before(async () => {
    storage = await openFiles();
    server = await startRegistry(storage.driver, {
      isImmutable: (repository, tag) => repository === 'kinds/fixed' && tag !== 'moving',
    });
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
  const blob = async (repository: string, text: string, mediaType: string) => {
    const { digest } = await client.pushBlob(repository, Buffer.from(text));
    return { mediaType, digest, size: Buffer.byteLength(text) };
  };
  const artifact = async (
    repository: string,
    tag: string,
    {
      config,
      layer,
      artifactType,
      subject,
    }: { config: string; layer: string; artifactType?: string; subject?: object },
  ) => {
    const manifest = {
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      ...(artifactType && { artifactType }),
      config: await blob(repository, '{}', config),
      layers: [await blob(repository, `content of ${tag}`, layer)],
      ...(subject && { subject }),
    };
    const response = await client.pushManifest(repository, tag, manifest);
    assert.equal(response.status, 201);
    return response.headers.get('Docker-Content-Digest') ?? '';
  };
  const descriptorOf = ({ digest, sizeBytes }: { digest: string; sizeBytes: number }) => ({
    mediaType: `${OCI}.manifest.v1+json`,
    digest,
    size: sizeBytes,
  });

  it('what has no tag: also a manifest whose facts are missing, and none that was deleted by its digest', async () => {
    const [kept, deleted] = [
      await pushImage(client, 'kinds/untagged', undefined, { contents: ['kept'] }),
      await pushImage(client, 'kinds/untagged', undefined, { contents: ['deleted'] }),
    ];
    await server.idle();
    const facts = layout.repositoryFacts(parseRepositoryName('kinds/untagged'));
    for await (const { key } of storage.driver.list(facts)) {
      if (key.includes(kept.digest.slice('sha256:'.length))) await storage.driver.delete(key);
    }
    assert.equal((await client.send('DELETE', `/v2/kinds/untagged/manifests/${deleted.digest}`)).status, 202);
    const text = await textOf('/ui/r/kinds/untagged?tab=untagged');
    assert.ok(text.includes(kept.digest));
    assert.ok(!text.includes(deleted.digest));
    assert.equal((await client.send('DELETE', `/v2/kinds/untagged/manifests/${kept.digest}`)).status, 202);
    assert.equal(
      (await browser.open('/ui/r/kinds/untagged')).status,
      404,
      'the repository went with its last manifest',
    );
  });

  it('a build cache that is an index of layers: its layers, and how to build from it', async () => {
    const layer = await blob('kinds/cache', 'layer', `${OCI}.layer.v1.tar+gzip`);
    const config = await blob('kinds/cache', '{}', 'application/vnd.buildkit.cacheconfig.v0');
    const index = { schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests: [layer, config] };
    assert.equal((await client.pushManifest('kinds/cache', 'main', index)).status, 201);
    const text = await textOf('/ui/r/kinds/cache:main');
    for (const shown of ['build cache', '--cache-from', layer.digest.slice(0, 19), config.mediaType])
      assert.ok(text.includes(shown), shown);
    assert.ok(!text.includes('docker pull'));
  });

  it('an index: a tab for each platform, and attestations by their name', async () => {
    const amd64 = await pushImage(client, 'kinds/multi', undefined, { contents: ['a'] });
    const alone = await pushImage(client, 'kinds/multi', undefined, { contents: ['alone'] });
    const arm64 = await pushImage(client, 'kinds/multi', undefined, {
      contents: ['b'],
      config: { architecture: 'arm64', history: [{ created_by: 'COPY only-arm /' }] },
    });
    const attestation = await pushImage(client, 'kinds/multi', undefined, {
      contents: ['{}'],
      config: { os: 'unknown', architecture: 'unknown' },
    });
    const index = {
      schemaVersion: 2,
      mediaType: `${OCI}.index.v1+json`,
      manifests: [
        { ...descriptorOf(amd64), platform: { os: 'linux', architecture: 'amd64' } },
        { ...descriptorOf(arm64), platform: { os: 'linux', architecture: 'arm64' } },
        {
          ...descriptorOf(attestation),
          platform: { os: 'unknown', architecture: 'unknown' },
          annotations: { [ATTESTATION]: 'attestation-manifest' },
        },
      ],
    };
    assert.equal((await client.pushManifest('kinds/multi', '1', index)).status, 201);
    const list = await textOf('/ui/r/kinds/multi');
    for (const shown of ['>amd64<', '>arm64<', '>provenance<']) assert.ok(list.includes(shown), shown);
    assert.ok(!list.includes('unknown/unknown'));
    const page = await textOf('/ui/r/kinds/multi:1');
    for (const tab of ['>linux/amd64<', '>linux/arm64<', '>Attestation<']) assert.ok(page.includes(tab), tab);
    assert.ok(!page.includes('only-arm'));
    assert.ok((await textOf(`/ui/r/kinds/multi:1?child=${arm64.digest}`)).includes('only-arm'));
    const untagged = await textOf('/ui/r/kinds/multi?tab=untagged');
    assert.ok(untagged.includes(alone.digest));
    for (const { digest } of [amd64, arm64, attestation]) assert.ok(!untagged.includes(digest), 'its index has a tag');
    const outside = await pushImage(client, 'kinds/other', '1', { contents: ['only-elsewhere'] });
    assert.ok(
      !(await textOf(`/ui/r/kinds/multi:1?child=${outside.digest}`)).includes('only-elsewhere'),
      'a digest that the index does not list',
    );
  });

  it('what has no tag: neither children of an index in a tagged index, and artifacts with what they refer to', async () => {
    const image = await pushImage(client, 'kinds/reached', undefined, { contents: ['reached'] });
    const indexOf = (...children: object[]) => ({
      schemaVersion: 2,
      mediaType: `${OCI}.index.v1+json`,
      manifests: children,
    });
    const pushIndex = async (tag: string, index: object) => {
      const response = await client.pushManifest('kinds/reached', tag, index);
      assert.equal(response.status, 201);
      const digest = response.headers.get('Docker-Content-Digest') ?? '';
      return { mediaType: `${OCI}.index.v1+json`, digest, size: Buffer.byteLength(JSON.stringify(index)) };
    };
    const inner = await pushIndex('inner', indexOf(descriptorOf(image)));
    await pushIndex('outer', indexOf(inner));
    const { status } = await client.send('DELETE', '/v2/kinds/reached/manifests/inner');
    assert.equal(status, 202);
    const alone = await pushImage(client, 'kinds/reached', undefined, { contents: ['alone'] });
    const sbom = {
      config: `${OCI}.config.v1+json`,
      layer: 'application/spdx+json',
      artifactType: 'application/spdx+json',
    };
    const tagged = await pushImage(client, 'kinds/reached', 'signed', { contents: ['signed'] });
    for (const [tag, subject] of [
      ['of-tagged', tagged],
      ['of-alone', alone],
    ] as const) {
      await artifact('kinds/reached', tag, { ...sbom, subject: descriptorOf(subject) });
      await client.send('DELETE', `/v2/kinds/reached/manifests/${tag}`);
    }
    const page = await textOf('/ui/r/kinds/reached?tab=untagged');
    for (const { digest } of [inner, image]) assert.ok(!page.includes(digest), digest);
    assert.match(page, /1–3 of 3/);
    assert.match(page, new RegExp(`refers to the tagged</span> <a href="[^"]+${tagged.digest}"><code>signed</code>`));
    assert.match(page, new RegExp(`refers to</span> <a href="[^"]+${alone.digest}">`));
    const outer = await textOf('/ui/r/kinds/reached:outer');
    assert.match(outer, new RegExp(`<a href="/ui/r/kinds/reached@${image.digest}">`), 'the way on from a nested index');
  });

  it('an index whose child is gone', async () => {
    const child = await pushImage(client, 'kinds/torn', undefined, { contents: ['c'] });
    const index = { schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests: [descriptorOf(child)] };
    assert.equal((await client.pushManifest('kinds/torn', '1', index)).status, 201);
    await storage.driver.delete(layout.manifest(parseRepositoryName('kinds/torn'), parseDigest(child.digest)));
    assert.match(await textOf('/ui/r/kinds/torn:1'), /does not hold it/);
    assert.equal((await browser.open('/ui/r/kinds/torn')).status, 200);
  });

  it('a chart, with the command that pulls it', async () => {
    await artifact('kinds/chart', '1.2.3', {
      config: 'application/vnd.cncf.helm.config.v1+json',
      layer: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
    });
    assert.match(await textOf('/ui/r/kinds/chart'), /Helm chart/);
    const page = await textOf('/ui/r/kinds/chart:1.2.3');
    assert.match(page, /helm pull oci:\/\/[^ ]+\/kinds\/chart --version 1\.2\.3/);
    assert.match(page, /vnd\.cncf\.helm\.chart\.content/);
  });

  it('an image that others describe: marks in the list, and what refers to it', async () => {
    const image = await pushImage(client, 'kinds/signed', '1', { contents: ['signed'] });
    const subject = descriptorOf(image);
    await artifact('kinds/signed', 'sbom', {
      config: `${OCI}.config.v1+json`,
      layer: 'application/spdx+json',
      artifactType: 'application/spdx+json',
      subject,
    });
    const cosign = { config: `${OCI}.config.v1+json`, layer: 'application/vnd.dev.cosign.simplesigning.v1+json' };
    await artifact('kinds/signed', `${image.digest.replace(':', '-')}.sig`, cosign);
    const list = await textOf('/ui/r/kinds/signed');
    const row = list.slice(list.indexOf('data-names="1"'));
    for (const mark of ['>SBOM<', '>signed<']) assert.ok(row.includes(mark), mark);
    assert.ok(!list.includes('data-names="sha256-'), 'the tag of the signature has no line of its own');
    assert.match(await textOf('/ui/r/kinds/signed:1?view=referrers'), /application\/spdx\+json/);
  });

  it('an image that only a v1 client pushed', async () => {
    const id = 'b'.repeat(64);
    await storage.driver.put(layout.tag(parseRepositoryName('kinds/old'), parseTag('1')), encodeText(id));
    assert.match(await textOf('/ui/r/kinds/old'), />v1 image</);
    assert.equal((await browser.open('/ui/r/kinds/old:1')).status, 404, 'its layers are not there');
  });

  it('a v1 image of an old bucket: its layers, and its objects by the id that v1 clients know', async () => {
    const repository = parseRepositoryName('kinds/bucket');
    const [base, top] = ['1'.repeat(64), '2'.repeat(64)].map((id) => parseImageId(id)) as [ImageId, ImageId];
    for (const [id, parent] of [[base], [top, base]] as const) {
      const command = { Cmd: ['/bin/sh', '-c', `#(nop) ADD file of ${id.slice(0, 4)}`] };
      const json = {
        id,
        ...(parent && { parent }),
        created: '2014-06-05T00:00:00Z',
        container_config: command,
        os: 'linux',
      };
      const ancestry = parent ? [id, parent] : [id];
      for (const [key, body] of [
        [layout.imageJson(id), encodeText(JSON.stringify({ ...json, architecture: 'amd64' }))],
        [layout.imageAncestry(id), encodeText(JSON.stringify(ancestry))],
        [layout.imageLayer(id), new Uint8Array(tar([{ path: id.slice(0, 4), content: Buffer.from(id) }]))],
      ] as const) {
        await storage.driver.put(key, body);
      }
    }
    const index = encodeText(JSON.stringify([{ id: top }, { id: base }]));
    await storage.driver.put(layout.indexImages(repository), index);
    await storage.driver.put(layout.tag(repository, parseTag('14.04')), encodeText(top));
    assert.match(await textOf('/ui/r/kinds/bucket'), />v1 image</);
    const page = await textOf('/ui/r/kinds/bucket:14.04');
    for (const shown of ['file of 1111', 'file of 2222', 'docker pull']) assert.ok(page.includes(shown), shown);
    const asV1 = await textOf('/ui/r/kinds/bucket:14.04?view=v1');
    for (const shown of [`<dd><code>${top}</code>`, `<li><code>${base}</code>`, `images/${top}/layer`])
      assert.ok(asV1.includes(shown), shown);
  });

  it('an image of schema 2, and a module of WebAssembly', async () => {
    const { manifest } = await pushImage(client, 'kinds/schema2', undefined, { contents: ['two'] });
    const { config, layers } = manifest as { config: object; layers: object[] };
    const type = 'application/vnd.docker';
    const put = await client.pushManifest('kinds/schema2', '2', {
      schemaVersion: 2,
      mediaType: `${type}.distribution.manifest.v2+json`,
      config: { ...config, mediaType: `${type}.container.image.v1+json` },
      layers: layers.map((layer) => ({ ...layer, mediaType: `${type}.image.rootfs.diff.tar.gzip` })),
    });
    assert.equal(put.status, 201);
    assert.match(await textOf('/ui/r/kinds/schema2'), />amd64</);
    assert.match(await textOf('/ui/r/kinds/schema2:2'), /<code>two<\/code>.*\/bin\/app/s);
    await artifact('kinds/wasm', '1.0.0', { config: 'application/vnd.wasm.config.v0+json', layer: 'application/wasm' });
    const page = await textOf('/ui/r/kinds/wasm:1.0.0');
    for (const shown of ['>application/wasm<', 'oras pull', '· artifact ·']) assert.ok(page.includes(shown), shown);
    assert.doesNotMatch(page, /docker pull/);
  });

  it('400 layers, and labels that lead to other sites', async () => {
    await pushImage(client, 'kinds/deep', '1', {
      contents: Array.from({ length: 400 }, (_, n) => `layer ${n}`),
      config: {
        config: {
          Labels: {
            'org.opencontainers.image.source': 'https://code.example/app',
            'org.opencontainers.image.url': 'ftp://files.example/app',
            'org.opencontainers.image.description': 'What it is.',
          },
        },
      },
    });
    const page = await textOf('/ui/r/kinds/deep:1');
    for (const shown of ['layer 399', 'What it is.', 'href="https://code.example/app"'])
      assert.ok(page.includes(shown), shown);
    assert.ok(!page.includes('href="ftp:'));
  });

  it('an artifact of many files without a config, and texts that are cut', async () => {
    const long = 'long text '.repeat(1000);
    const config = await blob('kinds/files', '{}', 'application/vnd.oci.empty.v1+json');
    const layers = Array.from({ length: 510 }, (_, n) => ({ ...config, mediaType: `application/x-${n}` }));
    const manifest = {
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      artifactType: 'application/x-files',
      config,
      layers,
      annotations: { long },
    };
    assert.equal((await client.pushManifest('kinds/files', 'many', manifest)).status, 201);
    const page = await textOf('/ui/r/kinds/files:many');
    for (const shown of ['>Content</a>', '10 more are not shown', 'oras pull']) assert.ok(page.includes(shown), shown);
    assert.ok(!page.includes(long));
    assert.equal((await client.pushManifest('kinds/files', 'none', { ...manifest, layers: [] })).status, 201);
    assert.match(await textOf('/ui/r/kinds/files:none'), /It has no content/);
    assert.match(await textOf('/ui/r/kinds/files:many?view=raw'), /x-509/);
  });

  it('an image with a sha512 digest, which has no form of v1, and no tag of cosign, since none is so long', async () => {
    const { manifest } = await pushImage(client, 'kinds/sha512', undefined, { contents: ['x'] });
    const digest = `sha512:${createHash('sha512').update(JSON.stringify(manifest)).digest('hex')}`;
    assert.equal((await client.pushManifest('kinds/sha512', digest, manifest)).status, 201);
    assert.match(await textOf(`/ui/r/kinds/sha512@${digest}?view=v1`), /do not see/);
    assert.match(await textOf(`/ui/r/kinds/sha512@${digest}?view=referrers`), /No signature, SBOM or other artifact/);
  });

  it('many tags and moves: a page after the other', async () => {
    const { manifest } = await pushImage(client, 'kinds/many', 'first', { contents: ['many'] });
    for (let n = 0; n < 60; n++) {
      const text = { ...(manifest as object), annotations: { n: String(n) } };
      assert.equal((await client.pushManifest('kinds/many', `1.${n}`, text)).status, 201);
      assert.equal((await client.pushManifest('kinds/many', 'moved', text)).status, 201);
    }
    const first = await textOf('/ui/r/kinds/many');
    assert.match(first, /1–50 of 61/);
    assert.match(await textOf('/ui/r/kinds/many?from=50'), /51–61 of 61/);
    assert.match(await textOf('/ui/r/kinds/many?from=x'), /1–50 of 61/);
    for (const sort of ['pushed', 'size']) assert.match(await textOf(`/ui/r/kinds/many?sort=${sort}`), /1–50 of 61/);
    assert.match(await textOf('/ui/r/kinds/many?filter=*nothing*'), /No tag matches/);
    const history = await textOf('/ui/r/kinds/many:moved?view=history');
    const next =
      /rel="next" href="([^"]+)"/.exec(history)?.[1]?.replaceAll('&amp;', '&') ?? assert.fail('there is no next page');
    assert.match(await textOf(next), /First page/);
  });

  it('many repositories, by name and by what was counted', async () => {
    for (let n = 0; n < 55; n++) await pushImage(client, `pages/r${n}`, '1', { contents: [`repository ${n}`] });
    await server.idle();
    assert.match(await textOf('/ui/'), /not counted yet/);
    await client.send('POST', '/v2/_stowage/usage');
    await until(async () => {
      const { usage } = (await (await client.send('GET', '/v2/_stowage/usage')).json()) as { usage: object | null };
      return usage !== null;
    }, 'nothing was counted');
    const first = await textOf('/ui/');
    const next =
      /rel="next" href="([^"]+)"/.exec(first)?.[1]?.replaceAll('&amp;', '&') ?? assert.fail('there is no next page');
    assert.ok((await textOf(next)).includes('/ui/r/'));
    for (const sort of ['size', 'pushed']) {
      const page = await textOf(`/ui/?sort=${sort}`);
      assert.ok(page.includes(`value="${sort}" selected`));
      assert.ok((await textOf(`/ui/?sort=${sort}&from=50`)).includes('/ui/r/'));
    }
    assert.ok((await textOf('/ui/?q=pages&page=2')).includes('/ui/r/pages/'));
    assert.match(await textOf('/ui/?q=nothing-has-this'), /No repository that you may read/);
    assert.match(await textOf('/ui/usage'), /<meter/);
    assert.match(await textOf('/ui/r/pages/r1'), /unique/);
  });

  it('an image that shares layers with other tags, once a usage run has found them', async () => {
    for (const tag of ['1', '2', '3', '4', '5'])
      await pushImage(client, 'kinds/sharing', tag, { contents: ['base', tag] });
    assert.doesNotMatch(await textOf('/ui/r/kinds/sharing:1'), /also in/);
    await assembleRegistry(storage.driver, { copiesLayers: false }).usage.run();
    const page = await textOf('/ui/r/kinds/sharing:1');
    const [first = '', second = ''] = page.split('<tbody>')[1]?.split('</tr>') ?? [];
    assert.match(first, /also in(?: <a href="\/ui\/r\/kinds\/sharing:[2-5]">[2-5]<\/a>){3} and others/);
    assert.doesNotMatch(second, /also in/);
  });

  it('a digest: of a manifest, of a layer, of nothing', async () => {
    const image = await pushImage(client, 'kinds/found', '1', { contents: ['found'] });
    assert.match(await textOf(`/ui/digest?digest=${image.digest}`), /kinds\/found@sha256/);
    const { layers } = image.manifest as { layers: { digest: string }[] };
    assert.match(await textOf(`/ui/digest?digest=${layers[0]?.digest}`), /as a layer or config/);
    assert.match(await textOf(`/ui/digest?digest=sha256:${'0'.repeat(64)}`), /No repository/);
    assert.match(await textOf(`/ui/digest?digest=sha256:${'0'.repeat(64)}&after=zzz`), /No repository/);
  });

  it('a deletion: what it frees, what other tags keep, and what is immutable', async () => {
    await pushImage(client, 'kinds/fixed', '1', { contents: ['shared', 'one'] });
    const { manifest } = await pushImage(client, 'kinds/fixed', '2', { contents: ['shared', 'two'] });
    await client.pushManifest('kinds/fixed', 'moving', manifest);
    const list = await textOf('/ui/r/kinds/fixed');
    assert.match(list, />immutable</);
    const form = (tags: string[]): [string, string][] => [
      ['token', tokenOf(list)],
      ['repository', 'kinds/fixed'],
      ...tags.map((tag): [string, string] => ['tag', tag]),
    ];
    const plan = await browser.submit('/ui/delete', form(['1']));
    assert.match(plan.text, /collections free <span title="\d+ bytes">/);
    assert.match(plan.text, /<code>(2|moving)<\/code> keeps .*1 further tag some of it/);
    assert.match((await browser.submit('/ui/delete', form(['2']))).text, /name the same images, and keep them/);
    assert.match((await browser.submit('/ui/delete', form(['none']))).text, /No tag is selected/);
    const many = Array.from({ length: 101 }, (_, n) => `t${n}`);
    assert.equal((await browser.submit('/ui/delete', form(many))).status, 400);
    const undone = await browser.submit('/ui/delete/undo', form(['moving']));
    assert.match(undone.text, /0 tags restored\. 1 tag moved/);
  });

  it('invalid requests: an error page with the status, and no stack', async () => {
    const token = tokenOf(await textOf('/ui/r/kinds/fixed'));
    for (const [path, status] of [
      ['/ui/nothing', 404],
      ['/ui/r/a/b', 404],
      ['/ui/r/kinds/fixed:none', 404],
      ['/ui/r/kinds/fixed@sha256:1', 400],
      ['/ui/r/..%2f', 400],
      ['/ui/digest?digest=x', 400],
    ] as const) {
      const { status: seen, text } = await browser.open(path);
      assert.equal(seen, status, path);
      assert.match(text, /<h1>/);
      assert.doesNotMatch(text, / at .*\.ts:/);
    }
    const restored = async (path: string, entry: string) =>
      (
        await browser.submit(path, [
          ['token', token],
          ['entry', entry],
        ])
      ).status;
    assert.equal(await restored('/ui/r/kinds/fixed:moving', 'none'), 404);
    assert.equal(await restored('/ui/r/kinds/fixed', 'none'), 400);
    const huge = await browser.submit('/ui/delete', [
      ['token', token],
      ['tag', 'x'.repeat(200_000)],
    ]);
    assert.equal(huge.status, 413);
    const json = await fetch(new URL('/ui/delete', server.url), {
      method: 'POST',
      body: '{}',
      headers: { 'Content-Type': 'application/json' },
    });
    assert.equal(json.status, 405);
    assert.equal((await browser.open('/ui')).status, 200);
    assert.equal((await browser.open('/ui/login')).status, 200, 'an open registry has no login');
  });
});

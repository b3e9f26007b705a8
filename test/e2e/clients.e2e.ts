import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { type Backend, backendsWithRedirects } from './backends.ts';
import { EMPTY_LAYER, makeCentos, type TestImage } from './images.ts';
import { blobPath, digestOf } from './oci-layout.ts';
import { attempt, run } from './programs.ts';
import type { Stowage } from './stowage.ts';
import { useStowage } from './use-stowage.ts';
import { visibleIn } from './visible.ts';

const MiB = 1024 * 1024;
const NOTE = 'a note that is no image\n';

for (const kind of backendsWithRedirects) {
  describe(`clients on ${kind.name}`, () => {
    const served = useStowage(kind);
    let directory: string;
    let image: TestImage;
    let backend: Backend;
    let stowage: Stowage;
    let host: string;

    before(async () => {
      ({ directory, backend, stowage } = served());
      host = stowage.host;
      await writeFile(join(directory, 'note.txt'), NOTE);
      image = await makeCentos(directory, 24);
    });

    /** Of an image as a client has written it to an OCI layout: every blob is there and is what it is called. */
    const assertPulled = async (layoutDirectory: string, { manifestDigest, configDigest, layers } = image) => {
      for (const digest of [manifestDigest, configDigest, ...layers.map((layer) => layer.digest)]) {
        assert.equal(digestOf(await readFile(blobPath(layoutDirectory, digest))), digest);
      }
    };

    describe('skopeo', () => {
      const skopeo = (...args: string[]) => run('skopeo', args);
      const reference = () => `docker://${host}/skopeo/image:1`;

      test('copies in, inspects and copies out', async () => {
        await skopeo('copy', '--dest-tls-verify=false', `oci:${image.layoutDirectory}:6.4`, reference());
        assert.equal(
          digestOf(Buffer.from(await skopeo('inspect', '--tls-verify=false', '--raw', reference()))),
          image.manifestDigest,
        );
        const inspected = JSON.parse(await skopeo('inspect', '--tls-verify=false', reference()));
        assert.equal(inspected.Digest, image.manifestDigest);
        assert.deepEqual(
          inspected.Layers,
          image.layers.map(({ digest }) => digest),
        );
        const out = join(directory, 'skopeo-out');
        await skopeo('copy', '--src-tls-verify=false', reference(), `oci:${out}:6.4`);
        await assertPulled(out);
      });

      test('converts to docker schema 2 on the way in', async () => {
        const converted = `docker://${host}/skopeo/converted:1`;
        await skopeo('copy', '--format=v2s2', '--dest-tls-verify=false', `oci:${image.layoutDirectory}:6.4`, converted);
        const manifest = JSON.parse(await skopeo('inspect', '--tls-verify=false', '--raw', converted));
        assert.equal(manifest.mediaType, 'application/vnd.docker.distribution.manifest.v2+json');
      });

      test('lists tags and deletes', async () => {
        const tags = async () =>
          JSON.parse(await skopeo('list-tags', '--tls-verify=false', `docker://${host}/skopeo/image`)).Tags;
        assert.deepEqual(await tags(), ['1']);
        await skopeo('delete', '--tls-verify=false', reference());
        // A repository without tags and manifests is none.
        await assert.rejects(tags(), /404/);
      });
    });

    describe('crane', () => {
      const crane = async (...args: string[]) => (await run('crane', args)).trim();
      const reference = () => `${host}/crane/image:1`;

      test('pushes, validates and pulls', async () => {
        await crane('push', image.layoutDirectory, reference());
        assert.equal(await crane('digest', reference()), image.manifestDigest);
        await crane('validate', '--remote', reference());
        const out = join(directory, 'crane-out');
        await crane('pull', '--format=oci', reference(), out);
        await assertPulled(out);
      });

      test('copies to another repository, which then has all blobs', async () => {
        const copy = `${host}/crane/deep/er/copy:2`;
        await crane('copy', reference(), copy);
        assert.equal(await crane('digest', copy), image.manifestDigest);
        await crane('validate', '--remote', copy);
      });

      test('appends a layer without files', async () => {
        const emptyLayer = join(directory, 'empty.tar.gz');
        await writeFile(emptyLayer, EMPTY_LAYER);
        const appended = `${host}/crane/appended:1`;
        await crane('append', '--base', reference(), '--new_layer', emptyLayer, '--new_tag', appended);
        const { layers } = JSON.parse(await crane('manifest', appended));
        assert.equal(layers.length, image.layers.length + 1);
        await crane('validate', '--remote', appended);
      });

      test('lists, tags and deletes', async () => {
        await crane('tag', reference(), 'also');
        assert.deepEqual((await crane('ls', `${host}/crane/image`)).split('\n'), ['1', 'also']);
        const listed = (await crane('catalog', host))
          .split('\n')
          .filter((repository) => repository.startsWith('crane/'));
        assert.deepEqual(listed, ['crane/appended', 'crane/deep/er/copy', 'crane/image']);
        await crane('delete', `${host}/crane/image@${image.manifestDigest}`);
        await assert.rejects(crane('ls', `${host}/crane/image`), /NAME_UNKNOWN/);
        await crane('validate', '--remote', `${host}/crane/deep/er/copy:2`); // its own links hold
      });
    });

    describe('oras', () => {
      const oras = (...args: string[]) => run('oras', args, { cwd: directory });
      const reference = () => `${host}/oras/image:1`;

      test('pushes and pulls an artifact', async () => {
        const artifact = `${host}/oras/artifact:1`;
        await oras('push', '--plain-http', '--artifact-type=application/vnd.test', artifact, 'note.txt:text/plain');
        await oras('pull', '--plain-http', '-o', 'oras-out', artifact);
        assert.equal(await readFile(join(directory, 'oras-out/note.txt'), 'utf8'), NOTE);
        const fetched = JSON.parse(await oras('manifest', 'fetch', '--plain-http', artifact));
        assert.equal(fetched.artifactType, 'application/vnd.test');
        await oras('manifest', 'delete', '--plain-http', '--force', artifact);
        const gone = await attempt('oras', ['resolve', '--plain-http', artifact]);
        assert.notEqual(gone.status, 0);
      });

      test('copies an image in and out', async () => {
        await oras('cp', '--from-oci-layout', '--to-plain-http', `${image.layoutDirectory}:6.4`, reference());
        assert.equal((await oras('resolve', '--plain-http', reference())).trim(), image.manifestDigest);
        const raw = await oras('manifest', 'fetch', '--plain-http', reference());
        assert.equal(digestOf(Buffer.from(raw)), image.manifestDigest);
        await oras('cp', '--from-plain-http', '--to-oci-layout', reference(), 'oras-image-out:6.4');
        await assertPulled(join(directory, 'oras-image-out'));
      });

      test('pushes a blob, fetches it and deletes it', async () => {
        const digest = digestOf(Buffer.from(NOTE));
        const blob = `${host}/oras/blobs@${digest}`;
        await oras('blob', 'push', '--plain-http', blob, 'note.txt');
        assert.equal(await oras('blob', 'fetch', '--plain-http', '--output=-', blob), NOTE);
        await oras('blob', 'delete', '--plain-http', '--force', blob);
        assert.notEqual((await attempt('oras', ['blob', 'fetch', '--plain-http', '--output=-', blob])).status, 0);
      });

      test('attaches an artifact to an image and discovers it', async () => {
        await oras('attach', '--plain-http', '--artifact-type=application/vnd.note', reference(), 'note.txt');
        const { referrers } = JSON.parse(await oras('discover', '--plain-http', '--format=json', reference()));
        assert.deepEqual(
          referrers.map((referrer: { artifactType: string }) => referrer.artifactType),
          ['application/vnd.note'],
        );
        assert.deepEqual((await oras('repo', 'tags', '--plain-http', `${host}/oras/image`)).trim(), '1');
      });
    });

    describe('regctl', () => {
      const regctl = (...args: string[]) =>
        run('regctl', args, { env: { REGCTL_CONFIG: join(directory, 'regctl.json') } });
      const reference = () => `${host}/regctl/image:1`;
      const copyIn = (layoutDirectory: string, destination: string) =>
        attempt('regctl', ['image', 'copy', '-v', 'trace', `ocidir://${layoutDirectory}:6.4`, destination], {
          env: { REGCTL_CONFIG: join(directory, 'regctl.json') },
        });
      const requests = (log: string, method: string) => log.split(`req-method=${method} `).length - 1;

      test('copies in with one PUT per blob, and copies out', async () => {
        await regctl('registry', 'set', host, '--tls=disabled', '--skip-check');
        const { status, stderr } = await copyIn(image.layoutDirectory, reference());
        assert.equal(status, 0, stderr.slice(-4000));
        assert.equal(requests(stderr, 'PATCH'), 0);
        const out = join(directory, 'regctl-out');
        await regctl('image', 'copy', reference(), `ocidir://${out}:6.4`);
        await assertPulled(out);
      });

      test('copies in with many PATCHes per blob, and the bytes are the same', async () => {
        await regctl(
          'registry',
          'set',
          host,
          '--tls=disabled',
          '--skip-check',
          `--blob-max=${MiB}`,
          `--blob-chunk=${MiB}`,
        );
        const other = await makeCentos(join(directory, 'other'), 24, 'other'); // or its blobs would be mounted
        const chunked = `${host}/regctl/chunked:1`;
        const { status, stderr } = await copyIn(other.layoutDirectory, chunked);
        assert.equal(status, 0, stderr.slice(-4000));
        assert(requests(stderr, 'PATCH') >= 24, `${requests(stderr, 'PATCH')} PATCHes`);
        const out = join(directory, 'regctl-chunked-out');
        await regctl('image', 'copy', chunked, `ocidir://${out}:6.4`);
        await assertPulled(out, other);
      });

      test('lists and deletes a tag', async () => {
        assert.equal((await regctl('tag', 'ls', `${host}/regctl/image`)).trim(), '1');
        assert.equal((await regctl('manifest', 'head', reference())).trim(), image.manifestDigest);
        await regctl('tag', 'delete', reference());
        assert.equal((await regctl('tag', 'ls', `${host}/regctl/image`)).trim(), '');
        assert.match(await regctl('repo', 'ls', host), /^regctl\/chunked$/m);
      });
    });

    test(`a blob comes ${kind.redirects ? 'from a URL of the bucket' : 'through the server'}`, async () => {
      const url = `${stowage.url}/v2/oras/image/blobs/${image.configDigest}`;
      const { status, headers } = await fetch(url, { redirect: 'manual' });
      assert.equal(status, kind.redirects ? 307 : 200);
      assert.equal(headers.get('Docker-Content-Digest'), image.configDigest);
      if (kind.redirects) assert.equal(new URL(headers.get('Location') ?? '').port, backend.env.AWS_PORT);
    });

    test('all remaining objects are complete', async () => {
      const visible = await visibleIn(stowage.url);
      assert.equal(visible['crane/deep/er/copy:2'], image.manifestDigest);
      assert.equal(visible['oras/image:1'], image.manifestDigest);
      assert.deepEqual(await backend.openUploads(), []);
    });
  });
}

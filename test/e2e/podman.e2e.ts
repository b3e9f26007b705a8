import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { tar } from '../support/tar.ts';
import { nearAndFar } from './backends.ts';
import { engineKinds, useEngines } from './engine.ts';
import { imageInEngine } from './image-in-engine.ts';
import { usePodman } from './podman.ts';
import { run } from './programs.ts';
import { useStowage } from './use-stowage.ts';
import { visibleIn } from './visible.ts';

const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
const CHUNKED = 'io.containers.zstd-chunked.manifest-checksum';

interface Compression {
  name: string;
  mediaType: string;
  isChunked: boolean;
}
const compressions: readonly Compression[] = [
  { name: 'gzip', mediaType: `${OCI_LAYER}+gzip`, isChunked: false },
  { name: 'zstd', mediaType: `${OCI_LAYER}+zstd`, isChunked: false },
  { name: 'zstd:chunked', mediaType: `${OCI_LAYER}+zstd`, isChunked: true },
];

describe('podman and buildah', () => {
  const engineNamed = useEngines();

  for (const kind of nearAndFar) {
    describe(`on ${kind.name}`, () => {
      const served = useStowage(kind);
      const { podman, buildah, build, push, pull, removeImages } = usePodman();
      const crane = async (...args: string[]) => (await run('crane', args)).trim();

      for (const { name, mediaType, isChunked } of compressions) {
        test(`podman pushes and pulls layers in ${name}`, async () => {
          const reference = `${served().stowage.host}/podman/${name.replace(':', '-')}:1`;
          // What no registry has, or podman takes a layer that is there, however it is compressed.
          const id = await build('built', '/etc/content', randomBytes(100_000).toString('hex'));
          const digest = await push('built', reference, `--compression-format=${name}`);
          assert.equal(await crane('digest', reference), digest);
          const { layers } = JSON.parse(await crane('manifest', reference));
          const seen = layers.map(({ mediaType, annotations = {} }: { mediaType: string; annotations?: object }) => {
            return { mediaType, isChunked: CHUNKED in annotations };
          });
          assert.deepEqual(seen, [{ mediaType, isChunked }]);
          await removeImages();
          assert.deepEqual(await pull(reference), { id, digest });
        });
      }

      test('buildah pushes as docker schema 2, and pulls', async () => {
        const reference = `${served().stowage.host}/buildah/image:1`;
        await build('built', '/etc/content', randomBytes(1000).toString('hex'));
        await buildah('push', '--quiet', '--tls-verify=false', '--format=v2s2', 'built', `docker://${reference}`);
        const manifest = JSON.parse(await crane('manifest', reference));
        assert.equal(manifest.mediaType, 'application/vnd.docker.distribution.manifest.v2+json');
        await removeImages();
        const id = await buildah('pull', '--quiet', '--tls-verify=false', `docker://${reference}`);
        assert.equal(`sha256:${id}`, manifest.config.digest);
      });

      test('podman imports, searches, lists tags', async () => {
        const { stowage, directory } = served();
        const archive = join(directory, 'files.tar');
        await writeFile(archive, tar([{ path: 'etc/imported', content: randomBytes(1000) }]));
        await podman('import', '--quiet', archive, 'imported:1');
        for (const tag of ['a', 'b']) await push('imported:1', `${stowage.host}/podman/imported:${tag}`);
        const image = `${stowage.host}/podman/imported`;
        const [, ...rows] = (await podman('search', '--tls-verify=false', '--list-tags', image)).split('\n');
        assert.deepEqual(
          rows.map((row) => row.split(/ +/)),
          [
            [image, 'a'],
            [image, 'b'],
          ],
        );
        const found = await podman('search', '--tls-verify=false', '--format={{.Name}}', `${stowage.host}/imported`);
        assert.equal(found, image);
      });

      for (const { name: engineName } of engineKinds) {
        test(`${engineName} pulls what podman pushed, an image and an index`, async () => {
          const engine = engineNamed(engineName);
          const { host } = served().stowage;
          const content = randomBytes(1000).toString('hex');
          const id = await build('built', '/etc/content', content);
          const reference = `${host}/crossing/podman:${engineName.replace(' ', '-')}`;
          const digest = await push('built', reference);
          await engine.removeImages();
          await engine.docker('pull', reference);
          const pulled = await imageInEngine(engine, reference, 'etc/content');
          assert.deepEqual(
            { configDigest: pulled.configDigest, content: pulled.content, repoDigests: pulled.repoDigests },
            { configDigest: `sha256:${id}`, content, repoDigests: [`${host}/crossing/podman@${digest}`] },
          );

          const index = `${host}/crossing/index:${engineName.replace(' ', '-')}`;
          const list = `list-${engineName.replace(' ', '-').toLowerCase()}`;
          await podman('manifest', 'create', list);
          await podman('manifest', 'add', '--tls-verify=false', list, `docker://${reference}`);
          await podman('manifest', 'push', '--all', '--tls-verify=false', list, `docker://${index}`);
          await podman('manifest', 'rm', list);
          await engine.removeImages();
          await engine.docker('pull', index);
          assert.equal((await imageInEngine(engine, index, 'etc/content')).configDigest, `sha256:${id}`);
        });

        test(`podman pulls what ${engineName} pushed`, async () => {
          const engine = engineNamed(engineName);
          const { stowage, directory } = served();
          const archive = join(directory, 'imported.tar');
          const reference = `${stowage.host}/crossing/docker:${engineName.replace(' ', '-')}`;
          await writeFile(archive, tar([{ path: 'etc/content', content: randomBytes(1000) }]));
          await engine.docker('import', archive, reference);
          const output = await engine.docker('push', reference);
          const pushed = /digest: (sha256:[0-9a-f]{64})/.exec(output)?.[1] ?? assert.fail(output);
          const { id, digest } = await pull(reference);
          assert.equal(digest, pushed);
          assert.equal(`sha256:${id}`, JSON.parse(await crane('manifest', reference)).config.digest);
        });
      }

      // 20.10 knows no zstd: "invalid tar header".
      test('Docker 29 pulls layers in zstd', async () => {
        const engine = engineNamed('Docker 29');
        const reference = `${served().stowage.host}/podman/zstd:1`;
        await engine.docker('pull', reference);
        const [digest] = JSON.parse(
          await engine.docker('image', 'inspect', '--format={{json .RepoDigests}}', reference),
        );
        assert.equal(digest, `${served().stowage.host}/podman/zstd@${await crane('digest', reference)}`);
      });

      test('all remaining objects are complete', async () => {
        const { stowage, backend } = served();
        const visible = await visibleIn(stowage.url);
        assert.equal(visible['podman/imported:a'], visible['podman/imported:b']);
        assert.deepEqual(await backend.openUploads(), []);
      });
    });
  }
});

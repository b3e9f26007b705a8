// BuildKit, which `docker buildx build` uses: attestations inside an index, and caches of builds.
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { nearAndFar } from './backends.ts';
import { useCleanup } from './cleanup.ts';
import { inOwnMountNamespace } from './containerd.ts';
import { attempt, pathOf, run } from './programs.ts';
import { ServerProcess } from './server-process.ts';
import { useStowage } from './use-stowage.ts';

const DOCKERFILE = `FROM scratch
COPY busybox /bin/
RUN ["/bin/busybox", "mkdir", "/made-by-a-step"]
ENTRYPOINT ["/bin/busybox"]
`;

const STATEMENT = {
  _type: 'https://in-toto.io/Statement/v0.1',
  predicateType: 'https://spdx.dev/Document',
  predicate: {
    spdxVersion: 'SPDX-2.3',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: 'root',
    packages: [
      { name: 'busybox', SPDXID: 'SPDXRef-Package-busybox', versionInfo: '1.35.0', licenseDeclared: 'GPL-2.0-only' },
    ],
  },
};

/** A generator of SBOMs: https://github.com/moby/buildkit/blob/v0.34.2/docs/attestations/sbom-protocol.md */
const SCANNER = `FROM scratch
COPY busybox /bin/
COPY statement.json /
ENTRYPOINT ["/bin/busybox", "sh", "-c", "/bin/busybox cp /statement.json $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json"]
`;

type Descriptor = { mediaType: string; digest: string; annotations?: Record<string, string> };

for (const kind of nearAndFar) {
  describe(`BuildKit on ${kind.name}`, () => {
    const atEnd = useCleanup();
    const served = useStowage(kind);
    let directory: string;
    let address: readonly string[];

    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'buildkit-'));
      atEnd(() => rm(directory, { recursive: true, force: true }));
      const config = join(directory, 'buildkitd.toml');
      await writeFile(config, `[registry."${served().stowage.host}"]\nhttp = true\n`);
      address = ['--addr', `unix://${join(directory, 'buildkitd.sock')}`];
      const worker = ['--oci-worker=true', '--containerd-worker=false', '--oci-worker-net=host'];
      const daemon = await ServerProcess.start({
        ...inOwnMountNamespace(pathOf('buildkitd'), [
          ...[...address, '--root', join(directory, 'root'), '--config', config, ...worker],
        ]),
        env: { PATH: `${dirname(pathOf('runc'))}:${process.env.PATH ?? ''}` },
        log: join(directory, 'buildkitd.log'),
        isReady: async () => (await attempt('buildctl', [...address, 'debug', 'workers'])).status === 0,
      });
      atEnd(() => daemon.stop());
    });

    /** @returns the log of the build */
    const build = async (name: string, files: Record<string, string>, ...options: string[]): Promise<string> => {
      const context = join(directory, name);
      await mkdir(context, { recursive: true });
      await copyFile(pathOf('busybox'), join(context, 'busybox'));
      for (const [path, text] of Object.entries(files)) await writeFile(join(context, path), text);
      const local = [`--local=context=${context}`, `--local=dockerfile=${context}`];
      const args = [...address, 'build', '--progress=plain', '--frontend=dockerfile.v0', ...local, ...options];
      const { status, stderr } = await attempt('buildctl', args);
      assert.equal(status, 0, stderr);
      return stderr;
    };
    const pushTo = (reference: string) => `--output=type=image,name=${reference},push=true,oci-mediatypes=true`;
    const manifestOf = async (reference: string) =>
      JSON.parse(await run('crane', ['manifest', '--insecure', reference])) as {
        manifests?: Descriptor[];
        layers?: Descriptor[];
      };
    const pageOf = async (path: string) => {
      const response = await fetch(`${served().stowage.url}/ui/r/${path}`, { headers: { accept: 'text/html' } });
      assert.equal(response.status, 200, path);
      return await response.text();
    };

    test('pushes an image with its provenance and SBOM, which the page shows by their names', async () => {
      const { host } = served().stowage;
      const scanner = `${host}/built/scanner:1`;
      await build('scanner', { Dockerfile: SCANNER, 'statement.json': JSON.stringify(STATEMENT) }, pushTo(scanner));
      const app = `${host}/built/app:1`;
      const attestations = ['--opt=attest:provenance=mode=max', `--opt=attest:sbom=generator=${scanner}`];
      await build('app', { Dockerfile: DOCKERFILE }, pushTo(app), ...attestations);
      const { manifests = [] } = await manifestOf(app);
      const [image, attestation] = manifests;
      assert.equal(attestation?.annotations?.['vnd.docker.reference.digest'], image?.digest);
      const { layers = [] } = await manifestOf(`${host}/built/app@${attestation?.digest}`);
      const predicates = layers.map(({ annotations }) => annotations?.['in-toto.io/predicate-type']);
      assert.ok(predicates.includes('https://spdx.dev/Document'), String(predicates));
      assert.ok(
        predicates.some((type) => type?.startsWith('https://slsa.dev/provenance/')),
        String(predicates),
      );
      await run('crane', ['validate', '--insecure', '--remote', app]);

      const page = await pageOf('built/app:1');
      assert.ok(page.includes('linux/amd64') && !page.includes('unknown/unknown'));
      assert.match(page, />Attestation of linux\/amd64</);
      assert.match(await pageOf('built/app'), /provenance/i);
      const documentOf = (type: string) =>
        pageOf(
          `built/app:1?child=${attestation?.digest}&document=${1 + predicates.findIndex((known) => known?.startsWith(type))}`,
        );
      const sbom = await documentOf('https://spdx.dev/');
      for (const shown of ['SPDX 2.3', '>busybox<', '>1.35.0<', '>GPL-2.0-only<'])
        assert.ok(sbom.includes(shown), shown);
      const provenance = await documentOf('https://slsa.dev/');
      for (const shown of ['buildkit', '<code>Dockerfile</code>', 'linux/amd64', 'datetime=']) {
        assert.ok(provenance.includes(shown), shown);
      }
    });

    for (const form of ['image', 'index'] as const) {
      test(`stores a cache as an ${form}, and a builder without one uses it`, async () => {
        const reference = `${served().stowage.host}/built/cache:${form}`;
        const cache = `type=registry,ref=${reference}`;
        const files = { Dockerfile: DOCKERFILE };
        await build('cached', files, `--export-cache=${cache},mode=max,image-manifest=${form === 'image'}`);
        await run('buildctl', [...address, 'prune', '--all']);
        assert.match(await build('cached', files, `--import-cache=${cache}`), /CACHED/);
        assert.match(await pageOf(`built/cache:${form}`), /build cache/);
      });
    }
  });
}

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { nearAndFar } from './backends.ts';
import { makeCentos, type TestImage } from './images.ts';
import { attempt, type Program, regctl, run } from './programs.ts';
import { useStowage } from './use-stowage.ts';
import { visibleIn } from './visible.ts';

const NOTE = 'a note that is no image\n';
const SIGNATURE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

for (const kind of nearAndFar) {
  describe(`artifacts on ${kind.name}`, () => {
    const served = useStowage(kind);
    let image: TestImage;
    /** By tag, and by digest. */
    let reference: string;
    let pinned: string;

    before(async () => {
      const { directory, stowage } = served();
      await writeFile(join(directory, 'note.txt'), NOTE);
      image = await makeCentos(directory, 2);
      reference = `${stowage.host}/artifacts/image:1`;
      pinned = `${stowage.host}/artifacts/image@${image.manifestDigest}`;
      await run('crane', ['push', image.layoutDirectory, reference]);
    });

    /** What a client calls its home is the suite's directory. */
    const optionsOf = (directory: string) => ({ cwd: directory, env: { HOME: directory, COSIGN_PASSWORD: '' } });
    const at = (program: Program, ...args: string[]) => run(program, args, optionsOf(served().directory));
    const by = (host: string, ...args: string[]) => regctl(host, 'artifact', ...args);

    /** The types of what is attached to an image, by each client that can tell. */
    const attachedTo = async (subject: string) => {
      const discovered = JSON.parse(await at('oras', 'discover', '--plain-http', '--format=json', subject));
      const listed = await by(served().stowage.host, 'list', '--format={{json .Descriptors}}', subject);
      const typesOf = (descriptors: { artifactType: string }[]) =>
        descriptors.map(({ artifactType }) => artifactType).toSorted();
      return { oras: typesOf(discovered.referrers), regctl: typesOf(JSON.parse(listed)) };
    };

    test('oras, regctl and cosign attach to one image, and the referrers list all artifacts', async () => {
      await at('oras', 'attach', '--plain-http', '--artifact-type=application/vnd.oras', reference, 'note.txt');
      const note = join(served().directory, 'note.txt');
      const put = ['--artifact-type=application/vnd.regctl', `--subject=${reference}`, `--file=${note}`];
      await by(served().stowage.host, 'put', ...put);
      await at('cosign', 'generate-key-pair');
      const offline = ['--use-signing-config=false', '--tlog-upload=false'];
      await at('cosign', 'sign', '--yes', '--key=cosign.key', '--allow-http-registry', ...offline, pinned);

      const all = [SIGNATURE, 'application/vnd.oras', 'application/vnd.regctl'].toSorted();
      assert.deepEqual(await attachedTo(reference), { oras: all, regctl: all });
      const filtered = ['--filter-artifact-type=application/vnd.regctl', `--subject=${reference}`];
      assert.equal(await by(served().stowage.host, 'get', ...filtered), NOTE);
    });

    test('cosign verifies its signature by the right key only', async () => {
      const verify = ['verify', '--allow-http-registry', '--insecure-ignore-tlog', '--output=json'];
      const [signature] = JSON.parse(await at('cosign', ...verify, '--key=cosign.pub', pinned));
      assert.equal(signature.critical.image['docker-manifest-digest'], image.manifestDigest);
      const other = join(served().directory, 'other');
      await mkdir(other);
      await run('cosign', ['generate-key-pair'], optionsOf(other));
      const refused = await attempt('cosign', [...verify, '--key=cosign.pub', pinned], optionsOf(other));
      assert.notEqual(refused.status, 0);
    });

    const copies: [string, (host: string, copy: string) => Promise<unknown>][] = [
      ['oras', (_, copy) => at('oras', 'cp', '--recursive', '--from-plain-http', '--to-plain-http', reference, copy)],
      ['regctl', (host, copy) => regctl(host, 'image', 'copy', '--referrers', reference, copy)],
    ];
    for (const [name, copyTo] of copies) {
      test(`${name} copies an image with its referrers to another repository`, async () => {
        const copy = `${served().stowage.host}/artifacts/copied-by-${name}:1`;
        await copyTo(served().stowage.host, copy);
        assert.deepEqual(await attachedTo(copy), await attachedTo(reference));
      });
    }

    test('a deleted artifact is no longer listed', async () => {
      const { host } = served().stowage;
      const ofRegctl = ['--filter-artifact-type=application/vnd.regctl', '--format={{json .Descriptors}}'];
      const [{ digest }] = JSON.parse(await by(host, 'list', ...ofRegctl, reference));
      await regctl(host, 'manifest', 'delete', `${host}/artifacts/image@${digest}`);
      assert.deepEqual((await attachedTo(reference)).oras, [SIGNATURE, 'application/vnd.oras'].toSorted());
    });

    test('Helm pushes a chart, shows it, renders it and pulls it', async () => {
      const { directory, stowage } = served();
      const version = '1.2.3+build.4'; // a tag cannot have a plus: Helm makes it an underscore
      await mkdir(join(directory, 'chart/templates'), { recursive: true });
      const files = {
        'Chart.yaml': `apiVersion: v2\nname: demo\nversion: ${version}\n`,
        'templates/map.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-the-chart}\n',
      };
      for (const [path, content] of Object.entries(files)) await writeFile(join(directory, 'chart', path), content);
      await at('helm', 'package', 'chart');
      const packed = `demo-${version}.tgz`;
      await at('helm', 'push', '--plain-http', packed, `oci://${stowage.host}/charts`);
      const chart = `oci://${stowage.host}/charts/demo`;
      assert.match(await at('helm', 'show', 'chart', '--plain-http', chart), /version: 1\.2\.3\+build\.4/);
      assert.match(await at('helm', 'template', '--plain-http', 'name', chart), /name: of-the-chart/);
      await mkdir(join(directory, 'pulled'));
      await at('helm', 'pull', '--plain-http', '--version', version, '--destination', 'pulled', chart);
      const [pushed, pulled] = await Promise.all(['.', 'pulled'].map((at) => readFile(join(directory, at, packed))));
      assert.deepEqual(pulled, pushed);
    });

    test('all remaining objects are complete', async () => {
      const visible = await visibleIn(served().stowage.url);
      assert.deepEqual(Object.keys(visible).toSorted(), [
        'artifacts/copied-by-oras:1',
        'artifacts/copied-by-regctl:1',
        'artifacts/image:1',
        'charts/demo:1.2.3_build.4',
      ]);
      assert.deepEqual(await served().backend.openUploads(), []);
    });
  });
}

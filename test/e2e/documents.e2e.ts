// SBOMs and attestations that cosign and oras attach, as the pages show them.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { CYCLONEDX, PROVENANCE_1, SPDX } from '../ui/documents/samples.ts';
import { nearAndFar } from './backends.ts';
import { makeCentos } from './images.ts';
import { type Program, run } from './programs.ts';
import { useStowage } from './use-stowage.ts';

const FILES = { 'spdx.json': SPDX, 'cyclonedx.json': CYCLONEDX, 'provenance.json': PROVENANCE_1 };

for (const kind of nearAndFar) {
  describe(`documents of an image on ${kind.name}`, () => {
    const served = useStowage(kind);
    let pinned: string;

    const at = (program: Program, ...args: string[]) => {
      const { directory } = served();
      return run(program, args, { cwd: directory, env: { HOME: directory, COSIGN_PASSWORD: '' } });
    };
    const attest = (type: string, file: string, ...options: string[]) => {
      const offline = ['--use-signing-config=false', '--tlog-upload=false', '--allow-http-registry'];
      const what = [`--type=${type}`, `--predicate=${file}`];
      return at('cosign', 'attest', '--yes', '--key=cosign.key', ...offline, ...what, ...options, pinned);
    };
    const pageOf = async (path: string) => {
      const response = await fetch(new URL(path, served().stowage.url), { headers: { accept: 'text/html' } });
      assert.equal(response.status, 200, path);
      return await response.text();
    };

    before(async () => {
      const { directory, stowage } = served();
      for (const [name, content] of Object.entries(FILES))
        await writeFile(join(directory, name), JSON.stringify(content));
      const image = await makeCentos(directory, 2);
      await run('crane', ['push', image.layoutDirectory, `${stowage.host}/documents/image:1`]);
      pinned = `${stowage.host}/documents/image@${image.manifestDigest}`;
      await at('cosign', 'generate-key-pair');
    });

    test('each leads from what refers to the image to a page of its content', async () => {
      await attest('spdxjson', 'spdx.json');
      await attest('slsaprovenance1', 'provenance.json', '--new-bundle-format=false');
      await at(
        ...(['oras', 'attach', '--plain-http', '--artifact-type=application/vnd.cyclonedx+json'] as const),
        ...[pinned, 'cyclonedx.json'],
      );
      const referrers = await pageOf('/ui/r/documents/image:1?view=referrers');
      const paths = new Set(
        [...referrers.matchAll(/href="(\/ui\/r\/documents\/image@sha256:[a-f0-9]{64})"/g)].map(([, path = '']) => path),
      );
      const pages = await Promise.all([...paths].map(pageOf));
      for (const shown of [
        ['SPDX 2.3', '>libssl3<', '>Apache-2.0<'],
        ['CycloneDX 1.6', '>gtest<', '>BSD-3-Clause<'],
        [PROVENANCE_1.buildDefinition.externalParameters.configSource.digest.sha1, '<code>Dockerfile</code>'],
      ]) {
        assert.ok(
          pages.some((page) => shown.every((part) => page.includes(part))),
          shown.join(),
        );
      }
    });
  });
}

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { backendsWithRedirects } from './backends.ts';
import { type ConformanceOptions, type ConformanceReport, runConformance } from './conformance.ts';
import { useStowage } from './use-stowage.ts';

const DOCUMENTATION = new URL('../../docs/oci.md', import.meta.url);

/** What is left out of a run; docs/oci.md says of each why. */
type LeftOut = Pick<ConformanceReport, 'switchedOff' | 'notPassed' | 'skipped'>;
type Run = Pick<ConformanceOptions, 'version' | 'env'> & LeftOut;

/** As the suite itself sets out what version 1.1 of the spec asks for. */
const stable: Run = {
  version: 'stable',
  env: {},
  switchedOff: [
    'apis.blobs.digestHeader',
    'apis.blobs.uploadCancel',
    'apis.manifests.digestHeader',
    'apis.manifests.tagParam',
    'data.sparse',
  ],
  notPassed: {
    'Blob upload cancel': 'Disabled',
    'Manifest put with tag params': 'Disabled',
    'Sparse Manifests': 'Disabled',
    'Tag Param': 'Disabled',
    'Tag Param sha512': 'Disabled',
  },
  skipped: ['sha256 blobs/post cancel/blob-post-cancel', 'sha512 blobs/post cancel/blob-post-cancel'],
};

/** All that there is: what a later suite adds but leaves off by itself fails the test. */
const dev: Run = {
  version: 'dev',
  env: {},
  switchedOff: ['data.sparse'],
  notPassed: { 'Sparse Manifests': 'Disabled' },
  skipped: [],
};

/** The digest is in the registry's answer; the suite looks for it in that of the storage, where the redirect led. */
const devWithRedirects: Run = {
  ...dev,
  env: { OCI_API_BLOBS_DIGEST_HEADER: 'false' },
  switchedOff: ['apis.blobs.digestHeader', ...dev.switchedOff],
};

for (const kind of backendsWithRedirects) {
  describe(`OCI's conformance suite on ${kind.name}`, () => {
    const served = useStowage(kind);

    for (const { version, env, ...leftOut } of [stable, kind.redirects ? devWithRedirects : dev]) {
      test(`${version}: all tests pass except the documented ones`, async (t) => {
        const { stowage, directory } = served();
        const report = await runConformance({ host: stowage.host, version, env, directory });
        const { passed, failed, failures, switchedOff, notPassed, skipped } = report;
        t.diagnostic(`${passed} tests passed`);
        assert.deepEqual(failed, [], failures);
        assert.deepEqual({ switchedOff, notPassed, skipped }, leftOut);
        assert.ok(passed > 500, `only ${passed} tests`);
      });
    }
  });
}

test('docs/oci.md explains what is left out of the conformance suite', async () => {
  const text = await readFile(DOCUMENTATION, 'utf8');
  for (const { switchedOff, notPassed } of [stable, dev, devWithRedirects]) {
    for (const name of [...switchedOff, ...Object.keys(notPassed)]) assert.ok(text.includes(`\`${name}\``), name);
  }
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidJsonError } from '../../../lib/model/json-scanner.ts';
import { type DocumentContent, DocumentReader } from '../../../lib/ui/data/statement.ts';
import {
  CYCLONEDX,
  envelope,
  PREDICATE_TYPES,
  PROVENANCE_1,
  PROVENANCE_02,
  PROVENANCE_OF_DIRECTORY,
  PROVENANCE_OF_WORKFLOW,
  SPDX,
  SPDX3,
  SUBJECT_HEX,
  SYFT,
  statement,
} from './samples.ts';

const FIRST_PAGE = { filter: '', from: 0, size: 50 };

function read(document: unknown, { page = FIRST_PAGE, pieceBytes = 1000 } = {}): DocumentContent {
  const reader = new DocumentReader(page);
  const bytes = Buffer.from(typeof document === 'string' ? document : JSON.stringify(document));
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.write(bytes.subarray(at, at + pieceBytes));
  return reader.end();
}

const SPDX_PACKAGES = [
  {
    name: 'libssl3',
    version: '3.0.15-1',
    type: 'deb',
    purl: 'pkg:deb/debian/libssl3@3.0.15-1?arch=amd64',
    licenses: 'Apache-2.0',
  },
  { name: 'lodash', version: '4.17.21', licenses: 'MIT' },
  { name: 'base', type: 'CONTAINER' },
];

const SPDX_SBOM = {
  format: 'SPDX 2.3',
  name: 'sbom',
  createdAt: '2024-12-03T13:19:29Z',
  tools: ['syft-v0.105.0', 'buildkit-v0.17.2'],
  packages: SPDX_PACKAGES,
  matchCount: 3,
  packageCount: 3,
};

describe('an SBOM', () => {
  it('is read in SPDX 2', () => {
    assert.deepEqual(read(SPDX), { subjects: [], sbom: SPDX_SBOM });
    assert.equal(read({ ...SPDX, spdxVersion: 'SPDX-2.2' }).sbom?.format, 'SPDX 2.2');
  });

  it('is read in CycloneDX, with components inside others, and tools as they were until 1.4', () => {
    const { sbom } = read(CYCLONEDX);
    assert.deepEqual(sbom, {
      format: 'CycloneDX 1.6',
      name: 'quicknotes:lab6',
      createdAt: '2026-10-08T11:22:11+00:00',
      tools: ['trivy 0.59.1'],
      packages: [
        {
          name: 'gtest',
          version: '1.14.0',
          type: 'conan',
          purl: 'pkg:conan/gtest@1.14.0',
          licenses: 'BSD-3-Clause',
        },
        { name: 'inner', type: 'file' },
        { name: 'org.apache/commons', version: '1', type: 'framework', licenses: 'Apache-2.0, MIT OR ISC' },
      ],
      matchCount: 3,
      packageCount: 3,
    });
    const tools = [{ vendor: 'anchore', name: 'syft', version: '0.5' }];
    const old = read({ ...CYCLONEDX, specVersion: '1.4', metadata: { tools } }).sbom;
    assert.deepEqual([old?.format, old?.tools], ['CycloneDX 1.4', ['syft 0.5']]);
  });

  it('is read in the format of syft', () => {
    const { sbom } = read(SYFT);
    assert.deepEqual(sbom?.packages, [
      {
        name: 'bash',
        version: '5.2',
        type: 'deb',
        purl: 'pkg:deb/debian/bash@5.2',
        licenses: 'GPL-3.0-or-later, MIT',
      },
      { name: 'tool', version: '1', type: 'binary' },
    ]);
    assert.deepEqual([sbom?.format, sbom?.name, sbom?.tools], ['Syft 16.0.36', 'debian', ['syft 1.30.0']]);
  });

  it('is read in SPDX 3, with the licences that relations lead to', () => {
    const { sbom } = read(SPDX3);
    assert.deepEqual(
      sbom?.packages.map(({ name, version, type, purl, licenses }) => [name, version, type, purl, licenses]),
      [
        ['my-app', '1.0.0', 'npm', 'pkg:npm/my-app@1.0.0', 'MIT AND ISC'],
        ['other', undefined, 'library', undefined, 'Apache-2.0'],
      ],
    );
    assert.deepEqual([sbom?.format, sbom?.name, sbom?.tools], ['SPDX 3', 'test-sbom', ['maker']]);
  });

  it('is read in a statement, in an envelope, and in a bundle, whatever the sizes of the pieces', () => {
    const stated = statement(PREDICATE_TYPES.spdx, SPDX);
    const subjects = [{ name: stated.subject[0]?.name, digest: `sha256:${SUBJECT_HEX}` }];
    const expected = { predicateType: PREDICATE_TYPES.spdx, subjects, sbom: SPDX_SBOM };
    for (const pieceBytes of [1, 5, 64, 100_000]) {
      assert.deepEqual(read(stated, { pieceBytes }), expected);
      assert.deepEqual(read(envelope(stated), { pieceBytes }), expected);
      assert.deepEqual(read({ mediaType: 'x', dsseEnvelope: envelope(stated) }, { pieceBytes }), expected);
    }
    const escaped = JSON.stringify(envelope(stated)).replaceAll('/', '\\/');
    assert.deepEqual(read(escaped), expected);
    assert.equal(read(statement(PREDICATE_TYPES.cyclonedx, CYCLONEDX)).sbom?.format, 'CycloneDX 1.6');
  });

  it('is searched by any text of a package, and shown by pages', () => {
    const names = (page: Partial<typeof FIRST_PAGE>) => {
      const { sbom } = read(SPDX, { page: { ...FIRST_PAGE, ...page } });
      return [sbom?.packages.map(({ name }) => name), sbom?.matchCount, sbom?.packageCount];
    };
    assert.deepEqual(names({ filter: 'LibSSL' }), [['libssl3'], 1, 3]);
    assert.deepEqual(names({ filter: 'mit' }), [['lodash'], 1, 3]);
    assert.deepEqual(names({ filter: 'pkg:deb/debian' }), [['libssl3'], 1, 3]);
    assert.deepEqual(names({ filter: 'nothing' }), [[], 0, 3]);
    assert.deepEqual(names({ from: 1, size: 1 }), [['lodash'], 3, 3]);
    assert.deepEqual(names({ from: 3 }), [[], 3, 3]);
  });

  it('of 30,000 packages gives those of one page, and the number of all', () => {
    const packages = Array.from({ length: 30_000 }, (_, n) => ({ name: `p${n}`, versionInfo: '1' }));
    const { sbom } = read({ ...SPDX, packages }, { page: { filter: '9', from: 50, size: 50 }, pieceBytes: 65_536 });
    assert.equal(sbom?.packages.length, 50);
    assert.equal(sbom?.packageCount, 30_000);
    assert.equal(sbom?.matchCount, packages.filter(({ name }) => name.includes('9')).length);
  });

  it('with fields of other types than the format says shows what it can', () => {
    const odd = { name: 5, versionInfo: [], licenseDeclared: {}, externalRefs: [null, 'x', { referenceType: 'purl' }] };
    assert.deepEqual(read({ ...SPDX, name: {}, creationInfo: 7, packages: [odd, null, 'x', []] }).sbom, {
      format: 'SPDX 2.3',
      tools: [],
      packages: [{ name: '' }],
      matchCount: 1,
      packageCount: 1,
    });
    for (const packages of [null, {}, 'x', 7]) assert.equal(read({ ...SPDX, packages }).sbom?.packageCount, 0);
    const component = { licenses: [null, { license: 'x' }, { expression: 7 }, {}], name: [] };
    assert.deepEqual(read({ ...CYCLONEDX, metadata: [], components: [component] }).sbom?.packages, [{ name: '' }]);
    assert.deepEqual(read({ ...SYFT, artifacts: [{ licenses: [7, {}] }] }).sbom?.packages, [{ name: '' }]);
    assert.equal(read({ '@graph': [null, { type: 7 }, { type: 'Relationship', to: 'x' }] }).sbom, undefined);
  });

  it('has names and licences that are cut to what a table shows', () => {
    const [found] = read({ ...SPDX, packages: [{ name: 'n'.repeat(1000) }] }).sbom?.packages ?? [];
    assert.equal(found?.name.length, 300);
  });
});

describe('SLSA provenance', () => {
  it('is read in version 0.2, with what the client of BuildKit says about its directory', () => {
    const { sbom, provenance } = read(statement(PREDICATE_TYPES.provenance02, PROVENANCE_02));
    assert.equal(sbom, undefined);
    assert.deepEqual(provenance, {
      builder: 'https://github.com/docker/buildx/actions/runs/3709599520',
      buildType: 'https://mobyproject.org/buildkit@v1',
      source: 'https://github.com/org/repo.git',
      commit: 'deadbeefcafebabe',
      entryPoint: 'Dockerfile',
      invocation: 'rpv7a389uzil5lqmrgwhijwjz',
      platform: 'linux/amd64',
      startedAt: '2021-11-17T15:00:00Z',
      finishedAt: '2021-11-17T15:01:00Z',
      materials: [
        {
          uri: 'pkg:docker/alpine@3.17?platform=linux%2Famd64',
          digest: 'sha256:8914eb54f968791faf6a8638949e480fef81e697984fba772b3976835194c6d4',
        },
      ],
      materialCount: 1,
    });
  });

  it('is read in version 1: the source that BuildKit has checked, rather than what its client says', () => {
    const { provenance } = read(envelope(statement(PREDICATE_TYPES.provenance1, PROVENANCE_1)));
    assert.deepEqual(provenance, {
      buildType: PROVENANCE_1.buildDefinition.buildType,
      source: 'https://github.com/moby/buildkit.git#refs/tags/v0.11.0',
      commit: '4b220de5058abfd01ff619c9d2ff6b09a049bea0',
      entryPoint: 'Dockerfile',
      invocation: 'invocation-1',
      platform: 'linux/arm64',
      startedAt: '2021-11-17T15:00:00Z',
      finishedAt: '2021-11-17T15:01:00Z',
      materials: [
        { uri: 'pkg:docker/alpine@3.17', digest: 'sha256:8914eb54' },
        {
          uri: 'https://github.com/moby/buildkit.git#refs/tags/v0.11.0',
          digest: 'sha1:4b220de5058abfd01ff619c9d2ff6b09a049bea0',
        },
      ],
      materialCount: 2,
    });
  });

  it('of version 1 without a source names the file whose steps were run', () => {
    const { provenance } = read(statement(PREDICATE_TYPES.provenance1, PROVENANCE_OF_DIRECTORY));
    assert.deepEqual(provenance, {
      buildType: PROVENANCE_OF_DIRECTORY.buildDefinition.buildType,
      entryPoint: 'Dockerfile',
      invocation: 'yljimmyyivevgjjzjtisp5m0v',
      platform: 'linux/amd64',
      startedAt: '2026-11-27T19:27:43.872579596Z',
      finishedAt: '2026-11-27T19:27:44.875922459Z',
      materials: [],
      materialCount: 0,
    });
  });

  it('is read in version 1 by a workflow: the commit of its repository', () => {
    const { provenance } = read(statement(PREDICATE_TYPES.provenance1, PROVENANCE_OF_WORKFLOW));
    assert.equal(provenance?.source, 'https://github.com/myorg/myrepo');
    assert.equal(provenance?.commit, 'c0ffee');
    assert.equal(provenance?.entryPoint, '.github/workflows/r.yml');
    assert.equal(provenance?.builder, PROVENANCE_OF_WORKFLOW.runDetails.builder.id);
  });

  it('with fields of other types, or none, is empty; many materials are counted', () => {
    for (const predicate of [null, {}, [], 'x', { builder: 7, materials: [null, 7], metadata: 'x', invocation: [] }]) {
      const { provenance } = read(statement(PREDICATE_TYPES.provenance02, predicate));
      assert.deepEqual(provenance, { materials: [], materialCount: 0 });
    }
    const materials = Array.from({ length: 1000 }, (_, n) => ({ uri: `pkg:generic/${n}` }));
    const { provenance } = read(statement(PREDICATE_TYPES.provenance02, { materials }));
    assert.deepEqual([provenance?.materials.length, provenance?.materialCount], [200, 1000]);
  });
});

describe('another document', () => {
  it('is a statement of another type, or nothing that is known', () => {
    const other = read(statement('https://in-toto.io/attestation/vulns/v0.1', { scanner: {} }));
    assert.equal(other.predicateType, 'https://in-toto.io/attestation/vulns/v0.1');
    assert.deepEqual([other.sbom, other.provenance], [undefined, undefined]);
    for (const document of [{}, [], '[{"spdxVersion":"SPDX-2.3"}] ', { payload: { a: 1 } }, { payload: 7 }])
      assert.deepEqual(read(document), { subjects: [] });
  });

  it('is refused if it, or what its envelope holds, is no JSON', () => {
    const payload = Buffer.from('{"predicateType":').toString('base64');
    for (const document of ['', '{', 'SPDXVersion: SPDX-2.3\n', { payload: '' }, { payload: '?' }, { payload }])
      assert.throws(() => read(document), InvalidJsonError, JSON.stringify(document));
  });
});

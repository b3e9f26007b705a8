// Documents in the shape that tools give them, cut to a few packages.

export const SUBJECT_HEX = '11c951599ed1bf649abbc2b23ae2730a4e1ef6ad9537a7f10df39b6546bf8429';

/** As syft 0.105 writes it, inside BuildKit. */
export const SPDX = {
  spdxVersion: 'SPDX-2.3',
  dataLicense: 'CC0-1.0',
  SPDXID: 'SPDXRef-DOCUMENT',
  name: 'sbom',
  documentNamespace: 'https://anchore.com/syft/dir/sbom-250326c0-1ac9-45df-b956-7034af7e03f0',
  creationInfo: {
    licenseListVersion: '3.23',
    creators: ['Organization: Anchore, Inc', 'Tool: syft-v0.105.0', 'Tool: buildkit-v0.17.2'],
    created: '2024-12-03T13:19:29Z',
  },
  packages: [
    {
      name: 'libssl3',
      SPDXID: 'SPDXRef-Package-deb-libssl3',
      versionInfo: '3.0.15-1',
      supplier: 'Organization: Debian OpenSSL Team',
      downloadLocation: 'NOASSERTION',
      filesAnalyzed: false,
      licenseConcluded: 'NOASSERTION',
      licenseDeclared: 'Apache-2.0',
      externalRefs: [
        {
          referenceCategory: 'SECURITY',
          referenceType: 'cpe23Type',
          referenceLocator: 'cpe:2.3:a:libssl3:libssl3:3.0.15-1:*:*:*:*:*:*:*',
        },
        {
          referenceCategory: 'PACKAGE-MANAGER',
          referenceType: 'purl',
          referenceLocator: 'pkg:deb/debian/libssl3@3.0.15-1?arch=amd64',
        },
      ],
    },
    { name: 'lodash', SPDXID: 'SPDXRef-2', versionInfo: '4.17.21', licenseConcluded: 'MIT', licenseDeclared: 'NONE' },
    { name: 'base', SPDXID: 'SPDXRef-3', primaryPackagePurpose: 'CONTAINER', externalRefs: 'not a list' },
  ],
  files: [{ fileName: '/usr/lib/libssl.so.3', SPDXID: 'SPDXRef-File-1' }],
  relationships: [
    { spdxElementId: 'SPDXRef-DOCUMENT', relatedSpdxElement: 'SPDXRef-3', relationshipType: 'DESCRIBES' },
  ],
};

/** As Trivy 0.59 writes it; a component has another one inside. */
export const CYCLONEDX = {
  $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  serialNumber: 'urn:uuid:78a52315-9149-41e4-8d42-e07a6f5a1882',
  version: 1,
  metadata: {
    timestamp: '2026-10-08T11:22:11+00:00',
    tools: {
      components: [
        {
          type: 'application',
          manufacturer: { name: 'Aqua Security Software Ltd.' },
          group: 'aquasecurity',
          name: 'trivy',
          version: '0.59.1',
        },
      ],
    },
    component: {
      'bom-ref': 'ab8f8462',
      type: 'container',
      name: 'quicknotes:lab6',
      properties: [{ name: 'aquasecurity:trivy:DiffID', value: 'sha256:187c' }],
    },
  },
  components: [
    {
      'bom-ref': 'pkg:conan/gtest@1.14.0',
      type: 'library',
      name: 'gtest',
      version: '1.14.0',
      licenses: [{ license: { name: 'BSD-3-Clause' } }],
      purl: 'pkg:conan/gtest@1.14.0',
    },
    {
      type: 'framework',
      group: 'org.apache',
      name: 'commons',
      version: '1',
      licenses: [{ license: { id: 'Apache-2.0' } }, { expression: 'MIT OR ISC' }],
      components: [{ type: 'file', name: 'inner', components: [] }],
    },
  ],
  dependencies: [{ ref: 'ab8f8462', dependsOn: ['pkg:conan/gtest@1.14.0'] }],
};

export const SYFT = {
  artifacts: [
    {
      id: '1',
      name: 'bash',
      version: '5.2',
      type: 'deb',
      licenses: [{ value: 'GPL-3.0-or-later', spdxExpression: 'GPL-3.0-or-later', type: 'declared' }, 'MIT'],
      purl: 'pkg:deb/debian/bash@5.2',
    },
    { name: 'tool', version: '1', type: 'binary', licenses: [] },
  ],
  source: { id: 'x', name: 'debian', version: '12', type: 'image', metadata: {} },
  descriptor: { name: 'syft', version: '1.30.0', configuration: {} },
  schema: {
    version: '16.0.36',
    url: 'https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-16.0.36.json',
  },
};

export const SPDX3 = {
  '@context': 'https://spdx.org/rdf/3.0.1/spdx-context.jsonld',
  '@graph': [
    { '@id': '_:creationinfo', type: 'CreationInfo', specVersion: '3.0.1', created: '2024-01-01T00:00:00Z' },
    { spdxId: 'https://example.org/doc1', type: 'SpdxDocument', name: 'test-sbom', creationInfo: '_:creationinfo' },
    { spdxId: 'https://example.org/tool', type: 'Tool', name: 'maker' },
    {
      spdxId: 'https://example.org/pkg1',
      type: 'software_Package',
      name: 'my-app',
      software_packageVersion: '1.0.0',
      software_primaryPurpose: 'application',
      externalIdentifier: [
        { type: 'ExternalIdentifier', externalIdentifierType: 'packageUrl', identifier: 'pkg:npm/my-app@1.0.0' },
      ],
    },
    { spdxId: 'https://example.org/pkg2', type: 'software_Package', name: 'other', software_primaryPurpose: 'library' },
    {
      spdxId: 'https://example.org/license',
      type: 'simplelicensing_LicenseExpression',
      simplelicensing_licenseExpression: 'MIT AND ISC',
    },
    {
      spdxId: 'https://example.org/rel1',
      type: 'Relationship',
      relationshipType: 'hasConcludedLicense',
      from: 'https://example.org/pkg1',
      to: ['https://example.org/license'],
    },
    {
      type: 'Relationship',
      relationshipType: 'hasDeclaredLicense',
      from: 'https://example.org/pkg2',
      to: ['https://spdx.org/licenses/Apache-2.0'],
    },
  ],
};

/** As BuildKit makes it of a directory with `vcs` options of the client. */
export const PROVENANCE_02 = {
  builder: { id: 'https://github.com/docker/buildx/actions/runs/3709599520' },
  buildType: 'https://mobyproject.org/buildkit@v1',
  materials: [
    {
      uri: 'pkg:docker/alpine@3.17?platform=linux%2Famd64',
      digest: { sha256: '8914eb54f968791faf6a8638949e480fef81e697984fba772b3976835194c6d4' },
    },
  ],
  invocation: {
    configSource: { entryPoint: 'Dockerfile' },
    parameters: { frontend: 'dockerfile.v0', locals: [{ name: 'context' }, { name: 'dockerfile' }] },
    environment: { platform: 'linux/amd64' },
  },
  buildConfig: { llbDefinition: [{ id: 'step0', op: { Op: { exec: { meta: { args: ['/bin/sh'] } } } } }] },
  metadata: {
    buildInvocationID: 'rpv7a389uzil5lqmrgwhijwjz',
    buildStartedOn: '2021-11-17T15:00:00Z',
    buildFinishedOn: '2021-11-17T15:01:00Z',
    completeness: { parameters: true, environment: true, materials: false },
    reproducible: false,
    'https://mobyproject.org/buildkit@v1#metadata': {
      vcs: { source: 'https://github.com/org/repo.git', revision: 'deadbeefcafebabe', 'localdir:context': '.' },
      layers: {},
    },
  },
};

/** As BuildKit makes it of a Git context. */
export const PROVENANCE_1 = {
  buildDefinition: {
    buildType: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
    externalParameters: {
      configSource: {
        uri: 'https://github.com/moby/buildkit.git#refs/tags/v0.11.0',
        digest: { sha1: '4b220de5058abfd01ff619c9d2ff6b09a049bea0' },
        path: 'Dockerfile',
      },
      request: { frontend: 'gateway.v0', args: { target: 'release' } },
    },
    internalParameters: { builderPlatform: 'linux/arm64', buildConfig: { llbDefinition: [] } },
    resolvedDependencies: [
      { uri: 'pkg:docker/alpine@3.17', digest: { sha256: '8914eb54' } },
      {
        uri: 'https://github.com/moby/buildkit.git#refs/tags/v0.11.0',
        digest: { sha1: '4b220de5058abfd01ff619c9d2ff6b09a049bea0' },
      },
    ],
  },
  runDetails: {
    builder: { id: '' },
    metadata: {
      invocationID: 'invocation-1',
      startedOn: '2021-11-17T15:00:00Z',
      finishedOn: '2021-11-17T15:01:00Z',
      buildkit_metadata: { vcs: { source: 'https://example.org/other', revision: 'f00' } },
    },
  },
};

/** As BuildKit 0.34 makes it of a directory. */
export const PROVENANCE_OF_DIRECTORY = {
  buildDefinition: {
    buildType: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
    externalParameters: {
      configSource: {},
      request: { frontend: 'dockerfile.v0', locals: [{ name: 'context' }, { name: 'dockerfile' }] },
    },
    internalParameters: {
      buildConfig: { llbDefinition: [{ id: 'step0', op: { Op: { source: { identifier: 'local://context' } } } }] },
      builderPlatform: 'linux/amd64',
      dockerfileVersion: '1.28.0-dev',
      targetPlatform: 'linux/amd64',
    },
  },
  runDetails: {
    builder: { id: '' },
    metadata: {
      invocationId: 'yljimmyyivevgjjzjtisp5m0v',
      startedOn: '2026-11-27T19:27:43.872579596Z',
      finishedOn: '2026-11-27T19:27:44.875922459Z',
      buildkit_metadata: {
        source: {
          locations: { step0: {} },
          infos: [{ filename: 'Dockerfile', language: 'Dockerfile', data: 'RlJPTSBzY3JhdGNoCg==', llbDefinition: [] }],
        },
        layers: {},
      },
      buildkit_completeness: { request: true, resolvedDependencies: false },
    },
  },
};

/** As the workflows of GitHub make it. */
export const PROVENANCE_OF_WORKFLOW = {
  buildDefinition: {
    buildType: 'https://actions.github.io/buildtypes/workflow/v1',
    externalParameters: {
      workflow: {
        ref: 'refs/heads/main',
        repository: 'https://github.com/myorg/myrepo',
        path: '.github/workflows/r.yml',
      },
    },
    internalParameters: { github: { event_name: 'push', runner_environment: 'github-hosted' } },
    resolvedDependencies: [
      { uri: 'git+https://github.com/myorg/myrepo@refs/heads/main', digest: { gitCommit: 'c0ffee' } },
    ],
  },
  runDetails: {
    builder: { id: 'https://github.com/myorg/myrepo/.github/workflows/r.yml@refs/heads/main' },
    metadata: { invocationId: 'https://github.com/myorg/myrepo/actions/runs/1/attempts/1' },
  },
};

export const PREDICATE_TYPES = {
  spdx: 'https://spdx.dev/Document',
  cyclonedx: 'https://cyclonedx.org/bom',
  provenance02: 'https://slsa.dev/provenance/v0.2',
  provenance1: 'https://slsa.dev/provenance/v1',
};

export function statement(predicateType: string, predicate: unknown) {
  const subject = [{ name: 'pkg:docker/quay.io/team/api@1?platform=linux%2Famd64', digest: { sha256: SUBJECT_HEX } }];
  return { _type: 'https://in-toto.io/Statement/v0.1', predicateType, subject, predicate };
}

/** What cosign signs. https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md */
export function envelope(content: object) {
  const payload = Buffer.from(JSON.stringify(content)).toString('base64');
  return { payloadType: 'application/vnd.in-toto+json', payload, signatures: [{ sig: 'MEUCIQ' }] };
}

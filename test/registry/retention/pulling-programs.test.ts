import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ignoredPullers, SCANNERS } from '../../../lib/registry/retention/pulling-programs.ts';

const isIgnored = ignoredPullers([...SCANNERS, 'robot:mirror-*']);
const ROWS: [caller: string, userAgent: string, ignored: boolean][] = [
  ['alice', 'docker/29.0.1 go/go1.25 git-commit/x kernel/6 os/linux arch/amd64', false],
  ['alice', 'containerd/2.1.0', false],
  ['alice', 'trivy/0.58.1', true],
  ['alice', 'go-containerregistry/v0.20 (Trivy/0.58)', true],
  ['alice', 'snyk-container/1.2', true],
  ['trivy', '', true],
  ['robot:mirror-eu', 'skopeo/1.17', true],
  ['robot:ci', 'skopeo/1.17', false],
  ['anonymous', '', false],
];

for (const [caller, userAgent, ignored] of ROWS) {
  test(`a pull by ${caller} with ${JSON.stringify(userAgent)} ${ignored ? 'does not count' : 'counts'}`, () => {
    assert.equal(isIgnored({ caller, userAgent }), ignored);
  });
}

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDigest, parseV1RepositoryName, parseV1Tag } from '../../../lib/model/names.ts';
import { digestPath, placeOf, repositoryPath, tagPath } from '../../../lib/ui/html/links.ts';

/** The path as the router gives it: reserved characters stay encoded. */
const routed = (path: string) => decodeURI(path.replaceAll('%25', '%2525'));

describe('paths of pages', () => {
  const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
  for (const name of [
    'team/api',
    'a/b/c',
    'library/app',
    'old/with:colon',
    'old/with@at',
    'old/ä b',
    'old/50%',
    'old/a?b#c',
    'old/<b>',
  ]) {
    for (const tag of ['1.0', 'v:1', 'a@b', 'ü %41', 'x?y#z']) {
      it(`lead back to ${name} and ${tag}`, () => {
        const repository = parseV1RepositoryName(name);
        assert.deepEqual(placeOf(routed(repositoryPath(repository))), { repository });
        assert.deepEqual(placeOf(routed(tagPath(repository, parseV1Tag(tag)))), { repository, tag });
        assert.deepEqual(placeOf(routed(digestPath(repository, digest))), { repository, digest });
      });
    }
  }

  it('of anything else are refused', () => {
    for (const path of ['/ui/r/', '/ui/r/a/..', '/ui/r/a:', '/ui/r/a@sha256:1', '/ui/r/a:b/c', '/ui/r/a:..%2Fx']) {
      assert.throws(() => placeOf(path), { name: 'RegistryError' }, path);
    }
  });
});

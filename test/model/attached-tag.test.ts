import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attachedTag, parseAttachedTag, subjectOfTag } from '../../lib/model/attached-tag.ts';
import { parseDigest, type Tag } from '../../lib/model/names.ts';

const HEX = '0123456789abcdef'.repeat(4);
const DIGEST = parseDigest(`sha256:${HEX}`);
const LONG = parseDigest(`sha512:${HEX}${HEX}`);

describe('an attached tag', () => {
  it('names the digest that it attaches something to, and what', () => {
    for (const ending of ['sig', 'att', 'sbom'] as const) {
      const tag = attachedTag(DIGEST, ending);
      assert.equal(tag, `sha256-${HEX}.${ending}`);
      assert.deepEqual(tag && parseAttachedTag(tag), { subject: DIGEST, ending });
    }
  });

  it('has no ending where a client without the referrers API wrote it', () => {
    assert.deepEqual(parseAttachedTag(`sha256-${HEX}` as Tag), { subject: DIGEST, ending: undefined });
  });

  it('does not exist for a sha512 digest, since no tag is so long', () => {
    assert.equal(attachedTag(LONG, 'sig'), undefined);
  });

  for (const tag of ['1.0', `sha256-${HEX}.other`, `sha256-${HEX}0`, `sha512-${HEX}`, `sha256-${HEX.toUpperCase()}`]) {
    it(`is not ${tag.slice(0, 20)}… of ${tag.length} characters`, () =>
      assert.equal(subjectOfTag(tag as Tag), undefined));
  }
});

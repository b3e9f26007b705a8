import assert from 'node:assert/strict';
import { it } from 'node:test';
import { condemnedBy, encodeCondemnedManifest } from '../../../lib/registry/condemned/condemned.ts';
import { encodeGone, GONE_BYTES, isGone } from '../../../lib/registry/condemned/gone.ts';
import { encodeText } from '../../../lib/streams/bytes.ts';

it('a gone form is known by its bytes, and no two are alike', () => {
  const [one, other] = [encodeGone(), encodeGone()];
  assert.ok(isGone(one) && isGone(other));
  assert.equal(one.length, GONE_BYTES);
  assert.notDeepEqual(one, other);
});

for (const other of ['', '{}', '{"gone":true}', `{"gone":"${'g'.repeat(36)}"}`, ` {"gone":"${'a'.repeat(35)}"}`]) {
  it(`${JSON.stringify(other)} is not gone`, () => assert.equal(isGone(encodeText(other)), false));
}

it('a condemned form is not gone', () => {
  assert.equal(isGone(encodeCondemnedManifest(encodeText('{}'), condemnedBy('run'))), false);
});

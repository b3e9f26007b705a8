import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseJws } from '../../../../lib/ui/data/signatures/notation-jws.ts';
import { encode, JWS } from './notation-envelopes.ts';

describe('an envelope of notation in JWS', () => {
  it('of any other form is not read', () => {
    assert.ok(parseJws(JWS.make()));
    for (const changes of [
      { payload: '!' },
      { payload: 7 },
      { protected: encode('{"alg":"ES256","alg":"none"}') },
      { protected: 7 },
      { signature: null },
      { header: null },
      { header: { x5c: 'x' } },
    ]) {
      assert.equal(parseJws(JWS.make({}, changes)), undefined, JSON.stringify(changes));
    }
    for (const text of ['', 'null', '[]', '{}', '{"payload":"","payload":""}']) {
      assert.equal(parseJws(Buffer.from(text)), undefined, text);
    }
  });

  it('has no certificate where an item of its chain is no base64', () => {
    for (const item of [null, '!', ['AAAA']]) {
      assert.deepEqual(parseJws(JWS.make({}, { header: { x5c: [item] } }))?.certificates, [new Uint8Array()]);
    }
  });
});

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import type { ETag } from '../../lib/storage/driver.ts';
import { Md5Etags } from '../../lib/storage/md5-etags.ts';
import { encodeText } from '../../lib/streams/bytes.ts';

const md5 = (bytes: Uint8Array) => `"${createHash('md5').update(bytes).digest('hex')}"` as ETag;
const other = () => `"${randomBytes(16).toString('hex')}"` as ETag;
const [first, second] = [encodeText('first'), encodeText('second')];

describe('ETags that are MD5s', () => {
  it('are not assumed before an object has been read', () => {
    assert.equal(new Md5Etags().of(first), undefined);
  });

  it('are known from one object whose ETag is the MD5 of its bytes', () => {
    const etags = new Md5Etags();
    etags.learn(md5(first), first);
    assert.equal(etags.of(second), md5(second));
  });

  it('are not assumed of a server that has others, as with SSE-KMS', () => {
    const etags = new Md5Etags();
    for (let read = 0; read < 20; read++) etags.learn(other(), first);
    assert.equal(etags.of(first), undefined);
    etags.learn(md5(first), first);
    assert.equal(etags.of(first), undefined, 'and after enough samples nothing is hashed any more');
  });

  it('are known in a bucket where some objects have other ETags', () => {
    const etags = new Md5Etags();
    etags.learn(other(), first);
    etags.learn(md5(second), second);
    etags.learn(other(), first);
    assert.equal(etags.of(first), md5(first));
  });
});

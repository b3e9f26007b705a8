import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseListPage } from '../../lib/storage/s3-list-page.ts';

const contents = (key: string) =>
  `<Contents><Key>${key}</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;e&quot;</ETag><Size>5</Size>` +
  '<Owner><ID>id</ID><DisplayName>name</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>';

const page = (content: string) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>p</Prefix>${content}</ListBucketResult>`;

describe('a page of a listing', () => {
  it('has objects, folders, and the token of the next page', () => {
    const xml = page(
      `<IsTruncated>true</IsTruncated>${contents('a/b')}${contents('c')}<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>` +
        '<NextContinuationToken>t=&amp;k</NextContinuationToken>',
    );
    const [first, second] = parseListPage(xml)?.objects ?? [];
    assert.deepEqual(first, {
      key: 'a/b',
      sizeBytes: 5,
      etag: '"e"',
      lastModified: new Date('2026-01-02T03:04:05.678Z'),
    });
    assert.equal(second?.key, 'c');
    const { folders, nextToken, isTruncated } = parseListPage(xml) ?? {};
    assert.deepEqual({ folders, nextToken, isTruncated }, { folders: ['d/'], nextToken: 't=&k', isTruncated: true });
  });

  for (const [escaped, key] of [
    ['a&amp;b&lt;c&gt;d', 'a&b<c>d'],
    ['&#34;&#x27;&apos;&quot;', `"''"`],
    ['&#xD;&#10;', '\r\n'],
    ['&amp;lt;', '&lt;'],
    [' ä b+%2F ', ' ä b+%2F '],
    ['&#x1F600;', '😀'],
  ] as const) {
    it(`has the key ${JSON.stringify(key)} of ${escaped}`, () => {
      assert.equal(parseListPage(page(contents(escaped)))?.objects[0]?.key, key);
    });
  }

  it('without objects is the last one', () => {
    const empty = parseListPage(page('<IsTruncated>false</IsTruncated>'));
    assert.deepEqual(empty, { objects: [], folders: [], nextToken: undefined, isTruncated: false });
  });

  it('without an ETag is an error', () => {
    assert.throws(() => parseListPage(page('<Contents><Key>a</Key></Contents>')), /no ETag/);
  });

  it('is nothing else, such as a page for browsers', () => {
    assert.equal(parseListPage('<html></html>'), undefined);
  });
});

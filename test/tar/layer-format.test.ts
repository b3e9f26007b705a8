import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOf, HEAD_BYTES } from '../../lib/tar/layer-format.ts';
import { samples as compressed } from '../compression/samples.ts';
import { samples } from './samples.ts';
import { rawTar } from './tar-writer.ts';

const v7 = rawTar({ name: 'file', magic: '', type: '\0' });
const signedSum = rawTar({ name: '\xff\xff', magic: '' });
signedSum.write('004514\0 ', 148); // 2 × 256 less than the unsigned one

const rows = [
  { title: 'nothing', head: Buffer.alloc(0), format: 'empty' },
  ...compressed.map(({ title, packed, format }) => ({ title, head: packed, format })),
  ...Object.entries(samples).map(([title, head]) => ({ title: `tar: ${title}`, head, format: 'tar' })),
  { title: 'a tar of nothing but zeros', head: Buffer.alloc(1024), format: 'tar' },
  { title: 'a v7 header, which says nothing but its checksum', head: v7, format: 'tar' },
  { title: 'a checksum over signed bytes', head: signedSum, format: 'tar' },
  { title: 'a v7 header with a wrong checksum', head: Buffer.from(v7).fill('x', 10, 11), format: 'unknown' },
  { title: 'a v7 header that is cut off', head: v7.subarray(0, 511), format: 'unknown' },
  { title: 'fewer zeros than a block', head: Buffer.alloc(511), format: 'unknown' },
  { title: 'text', head: Buffer.from('{"id": "x"}'), format: 'unknown' },
  { title: 'half of a magic number', head: Buffer.from([0xfd, 0x37, 0x7a]), format: 'unknown' },
];

for (const { title, head, format } of rows) {
  test(title, () => assert.equal(formatOf(head.subarray(0, HEAD_BYTES)), format));
}

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CorruptLayerError } from '../../lib/compression/corrupt-layer-error.ts';
import type { TarHeader } from '../../lib/tar/header.ts';
import { readTar } from '../../lib/tar/read-tar.ts';
import { chunked, collect } from './byte-streams.ts';
import { LONG, samples } from './samples.ts';
import { GNU_MAGIC, gnuLong, pax, type RawEntry, rawTar, trailer } from './tar-writer.ts';

type Read = TarHeader & { data: string };

async function read(tar: Uint8Array): Promise<Read[]> {
  const entries: Read[] = [];
  for await (const { data, ...header } of readTar(chunked(tar))) {
    entries.push({ ...header, data: (await collect(data)).toString('latin1') });
  }
  return entries;
}

describe('a header is read', () => {
  const rows: { title: string; entries: RawEntry[]; expected: Partial<Read> }[] = [
    {
      title: 'with all its fields as they are',
      entries: [
        {
          name: './file',
          mode: 0o104755,
          uid: 1,
          gid: 2,
          mtimeSeconds: 3,
          userName: 'u',
          groupName: 'g',
          linkName: 'l',
          data: 'data',
        },
      ],
      expected: {
        name: './file',
        mode: 0o104755,
        uid: 1,
        gid: 2,
        sizeBytes: 4,
        mtimeSeconds: 3,
        type: '0',
        linkName: 'l',
        userName: 'u',
        groupName: 'g',
        deviceMajor: 0,
        deviceMinor: 0,
        data: 'data',
      },
    },
    {
      title: 'with its prefix',
      entries: [{ name: 'name', prefix: './pre/fix' }],
      expected: { name: './pre/fix/name' },
    },
    {
      title: 'with a prefix that GNU tar does not have, but docker writes',
      entries: [{ name: 'name', prefix: '7/dockers', magic: GNU_MAGIC }],
      expected: { name: '7/dockers/name' },
    },
    {
      title: 'without the times that GNU tar keeps there',
      entries: [{ name: 'name', magic: GNU_MAGIC, patches: { 345: '15301227050\x0015301227050\0' } }],
      expected: { name: 'name' },
    },
    {
      title: 'without what v7 does not have',
      entries: [{ name: 'name', magic: '', type: '\0', userName: 'u', prefix: 'p' }],
      expected: { name: 'name', type: '\0', userName: '' },
    },
    {
      title: 'with the numbers of a device',
      entries: [{ name: 'null', type: '3', deviceMajor: 1, deviceMinor: 3 }],
      expected: { type: '3', deviceMajor: 1, deviceMinor: 3 },
    },
    {
      title: 'without the numbers that a device would have',
      entries: [{ name: 'file', patches: { 329: 'rubbish', 337: '0000007' } }],
      expected: { deviceMajor: 0, deviceMinor: 0 },
    },
    {
      title: 'with large and negative numbers in binary',
      entries: [{ name: 'name', uid: 2 ** 40, gid: -2, mtimeSeconds: -86_400 }],
      expected: { uid: 2 ** 40, gid: -2, mtimeSeconds: -86_400 },
    },
    {
      title: 'with blanks around its numbers',
      entries: [{ name: 'name', patches: { 100: '   644 \0', 108: ' 17\0    ', 116: '\0\0\0\0\0\0\0\0' } }],
      expected: { mode: 0o644, uid: 0o17, gid: 0 },
    },
    {
      title: 'with names that are not UTF-8 byte by byte',
      entries: [{ name: 'a\xff\xfe', type: '2', linkName: '\x80' }],
      expected: { name: 'a\xff\xfe', linkName: '\x80' },
    },
    {
      title: 'with its long names',
      entries: [
        gnuLong('K', LONG.repeat(3)),
        gnuLong('L', LONG.repeat(2)),
        { name: 'cut', type: '2', linkName: 'cut', magic: GNU_MAGIC },
      ],
      expected: { name: LONG.repeat(2), linkName: LONG.repeat(3) },
    },
    {
      title: 'with what pax says instead',
      entries: [
        pax({
          path: 'p\xc3\xa4x',
          linkpath: 'l',
          uid: '5000000',
          gid: '6000000',
          uname: 'u',
          gname: 'g',
          mtime: '12.75',
          size: '4',
        }),
        { name: 'name', sizeBytes: 0, data: 'four' },
      ],
      expected: {
        name: 'p\xc3\xa4x',
        linkName: 'l',
        uid: 5_000_000,
        gid: 6_000_000,
        userName: 'u',
        groupName: 'g',
        mtimeSeconds: 12.75,
        sizeBytes: 4,
        data: 'four',
      },
    },
    {
      title: 'with what several pax headers say, the last one first, and nothing of an empty value',
      entries: [
        pax({ uname: 'all', gname: 'all' }, 'g'),
        pax({ uname: 'first', path: 'first' }),
        pax({ uname: 'second', mtime: '' }),
        { name: 'name', mtimeSeconds: 9 },
      ],
      expected: { name: 'first', userName: 'second', groupName: 'all', mtimeSeconds: 9 },
    },
    {
      title: 'with its extended attributes byte by byte',
      entries: [pax({ 'SCHILY.xattr.user.a': 'x=\0\n\xff', 'SCHILY.acl.access': 'no' }), { name: 'name' }],
      expected: { xattrs: new Map([['user.a', 'x=\0\n\xff']]) },
    },
    {
      title: 'with the size that a link has for no data',
      entries: [{ name: 'link', type: '1', linkName: 'file', sizeBytes: 700 }],
      expected: { sizeBytes: 700, data: '' },
    },
    {
      title: 'with the true size of an old GNU sparse file, behind whose map is the data',
      entries: [
        {
          name: 'holes',
          type: 'S',
          magic: GNU_MAGIC,
          data: `${'\0'.repeat(504)}\x01${'\0'.repeat(519)}data`,
          sizeBytes: 4,
          patches: { 482: '\x01', 483: '00000004000\0' },
        },
      ],
      expected: { sizeBytes: 4, data: 'data', sparse: { name: 'holes', sizeBytes: 2048 } },
    },
    {
      title: 'with the true name and size of a pax sparse file',
      entries: [
        pax({ 'GNU.sparse.major': '1', 'GNU.sparse.name': 'holes', 'GNU.sparse.realsize': '2048' }),
        { name: './GNUSparseFile.0/holes', data: 'map and data' },
      ],
      expected: { name: './GNUSparseFile.0/holes', sizeBytes: 12, sparse: { name: 'holes', sizeBytes: 2048 } },
    },
  ];
  for (const { title, entries, expected } of rows) {
    test(title, async () => {
      const [first, second] = await read(rawTar(...entries, { name: 'behind it' }));
      assert.deepEqual({ ...first, ...expected }, first);
      assert.equal(second?.name, 'behind it');
    });
  }
});

describe('a tar ends', () => {
  const whole = rawTar({ name: 'a', data: 'data' }, { name: 'b', data: 'more' });
  const rows = [
    { title: 'with two blocks of zeros', tar: Buffer.concat([whole, trailer()]) },
    { title: 'with one', tar: Buffer.concat([whole, trailer().subarray(512)]) },
    { title: 'with nothing', tar: whole },
    { title: 'with nothing, not even the last padding', tar: whole.subarray(0, -508) },
    { title: 'with zeros, then anything', tar: Buffer.concat([whole, trailer(), Buffer.alloc(9000, 'x')]) },
  ];
  for (const { title, tar } of rows) {
    test(title, async () =>
      assert.deepEqual(
        (await read(tar)).map(({ data }) => data),
        ['data', 'more'],
      ),
    );
  }

  test('after which the source is read to its end', async () => {
    let isAtEnd = false;
    async function* source() {
      yield* chunked(Buffer.concat([whole, trailer(), Buffer.alloc(9000)]), [512]);
      isAtEnd = true;
    }
    await Array.fromAsync(readTar(source()));
    assert.ok(isAtEnd);
  });
});

describe('anything that is not a tar is an error', () => {
  const good = rawTar({ name: 'a', data: 'x'.repeat(600) });
  const rows: { title: string; tar: Buffer }[] = [
    { title: 'text', tar: Buffer.from('text '.repeat(200)) },
    { title: 'text behind an entry', tar: Buffer.concat([good, Buffer.alloc(512, 'text')]) },
    { title: 'a header that is cut off', tar: Buffer.concat([good, good.subarray(0, 511)]) },
    { title: 'data that are cut off', tar: good.subarray(0, 512 + 599) },
    { title: 'a pax header that is cut off', tar: rawTar(pax({ path: 'p' })).subarray(0, 520) },
    { title: 'a pax header with nothing behind it', tar: rawTar(pax({ path: 'p' })) },
    { title: 'a long name with nothing behind it', tar: Buffer.concat([rawTar(gnuLong('L', 'name')), trailer()]) },
    { title: 'a number that is none', tar: rawTar({ name: 'a', patches: { 108: 'zehn' } }) },
    { title: 'a negative size', tar: rawTar({ name: 'a', sizeBytes: -512 }) },
    { title: 'a size beyond all bounds', tar: rawTar({ name: 'a', patches: { 124: `\x80${'\xff'.repeat(11)}` } }) },
    { title: 'a size beyond the end', tar: rawTar({ name: 'a', sizeBytes: 2 ** 50 }) },
    { title: 'a pax header beyond all bounds', tar: rawTar({ name: 'a', type: 'x', sizeBytes: 2 ** 40 }) },
    { title: 'pax headers without end', tar: rawTar(...Array<RawEntry>(9).fill(pax({ path: 'p'.repeat(200_000) }))) },
    { title: 'a negative pax size', tar: rawTar(pax({ size: '-1' }), { name: 'a' }) },
    { title: 'a pax number that is none', tar: rawTar(pax({ uid: '1.5' }), { name: 'a' }) },
    { title: 'a pax time that is none', tar: rawTar(pax({ mtime: 'now' }), { name: 'a' }) },
    ...['12 path=name', '8 path=x\n', '99 path=x\n', 'path=x\n', '6 a b\n', '5 =x\n', '0 a=b\n'].map((data) => ({
      title: `the pax record ${JSON.stringify(data)}`,
      tar: rawTar({ name: 'a', type: 'x', data }, { name: 'a' }),
    })),
    {
      title: 'a sparse map that is cut off',
      tar: rawTar({ name: 'a', type: 'S', magic: GNU_MAGIC, patches: { 482: '\x01' } }),
    },
  ];
  for (const { title, tar } of rows) {
    test(title, async () => await assert.rejects(read(tar), CorruptLayerError));
  }
});

test('too many entries are an error, however well they compress', async () => {
  const entries = Buffer.concat(Array<Buffer>(1000).fill(rawTar(pax({ path: 'p'.repeat(50_000) }), { name: 'a' })));
  async function* source() {
    for (;;) yield entries;
  }
  let count = 0;
  const counting = async () => {
    for await (const _ of readTar(source())) count += 1;
  };
  await assert.rejects(counting, CorruptLayerError);
  assert.ok(count > 2000, `${count} entries`);
});

test('data that is not read is skipped, and cannot be read afterwards', async () => {
  const kept: AsyncIterable<Uint8Array>[] = [];
  const names: string[] = [];
  for await (const { name, data } of readTar(chunked(samples.ustar, [100]))) {
    names.push(name);
    kept.push(data);
  }
  assert.equal(names.length, 12);
  for (const data of kept) assert.equal((await collect(data)).length, 0);
});

test('the source is closed when the reader stops', async () => {
  const closed = Promise.withResolvers<void>();
  async function* source() {
    try {
      yield samples.ustar.subarray(0, 1024);
      yield await new Promise<Uint8Array>(() => undefined);
    } finally {
      closed.resolve();
    }
  }
  for await (const _ of readTar(source())) break;
  await closed.promise;
});

test('an error of the source is thrown unchanged', async () => {
  const failure = new RangeError('connection lost');
  async function* source() {
    yield samples.ustar.subarray(0, 700);
    throw failure;
  }
  await assert.rejects(Array.fromAsync(readTar(source())), (error) => error === failure);
});

import { GNU_MAGIC, gnuLong, pax, rawTar, trailer } from './tar-writer.ts';

/** The longest name that fits into a header, and one that does not. */
export const LONG = `${'long-folder/'.repeat(8)}file`;

/** Tars that together use every feature. Their `_files` and sums were computed with Python's tarfile. */
export const samples = {
  ustar: Buffer.concat([
    rawTar(
      { name: './', type: '5', mode: 0o40755, mtimeSeconds: 1371157405 },
      { name: './etc/', type: '5', mode: 0o755, mtimeSeconds: 1371157406, userName: 'root', groupName: 'root' },
      {
        name: './etc/hosts',
        mode: 0o100644,
        uid: 1000,
        gid: 50,
        mtimeSeconds: 1371157407,
        data: '127.0.0.1 localhost\n',
      },
      { name: './etc/link', type: '1', linkName: './etc/hosts', sizeBytes: 20, userName: 'daemon', groupName: 'staff' },
      { name: './etc/symlink', type: '2', mode: 0o777, linkName: 'hosts' },
      { name: './dev/null', type: '3', mode: 0o20666, deviceMajor: 1, deviceMinor: 3 },
      { name: './dev/loop0', type: '4', mode: 0o60660, deviceMajor: 7, deviceMinor: 0 },
      { name: './run/pipe', type: '6', mode: 0o600 },
      { name: './contiguous', type: '7', data: 'x'.repeat(512) },
      { name: './vendor', type: 'Z', data: 'unknown' },
      { name: './empty' },
      { name: 'last', prefix: './a/prefix', data: 'y'.repeat(1025) },
    ),
    trailer(),
  ]),
  v7: rawTar(
    { name: 'folder/', magic: '', type: '\0', mode: 0o755 },
    { name: 'folder/file', magic: '', type: '\0', data: 'old' },
    { name: 'folder/link', magic: '', type: '1', linkName: 'folder/file' },
  ),
  gnu: Buffer.concat([
    rawTar(
      gnuLong('L', `./${LONG}/${LONG}`),
      { name: `./${LONG}`, magic: GNU_MAGIC, uid: 3_000_000, gid: 4_000_000, mtimeSeconds: -5, data: 'negative' },
      gnuLong('K', LONG.repeat(2)),
      gnuLong('L', `./${LONG}/link`),
      { name: 'cut', magic: GNU_MAGIC, type: '2', linkName: 'cut' },
      { name: `${LONG}`, prefix: './of-docker', magic: GNU_MAGIC, data: 'written by Go' },
    ),
    trailer(),
  ]),
  pax: Buffer.concat([
    rawTar(
      pax({ comment: 'all of them', uname: 'everybody' }, 'g'),
      pax({
        path: './caf\xc3\xa9',
        mtime: '1350244992.023960108',
        uid: '5000000',
        gid: '6000000',
        gname: 'gr\xc3\xbcn',
        'SCHILY.xattr.user.z': '1',
        'SCHILY.xattr.security.capability': '\x01\0\0\x02\0\x04\0\xff\xfe\n=\0',
        'SCHILY.xattr.user.a': 'v=w',
      }),
      { name: 'cafe', mode: 0o4755, data: 'pax' },
      pax({ path: `./${LONG}/${LONG}`, linkpath: `${LONG}${LONG}`, mtime: '-1.5' }),
      { name: 'short', type: '2', linkName: 'short' },
      pax({ size: '4' }),
      { name: './size', sizeBytes: 0, data: 'four' },
    ),
    trailer(),
  ]),
  names: Buffer.concat([
    rawTar(
      { name: './bad-\xff\xfe-name' },
      { name: './cut-\xe2\x82' },
      { name: './surrogate-\xed\xb3\xbf' },
      { name: './euro-\xe2\x82\xac' },
      { name: './line\nbreak "quoted"' },
    ),
    trailer(),
  ]),
  whiteouts: Buffer.concat([
    rawTar(
      { name: './', type: '5', mode: 0o755 },
      { name: './.wh.x' },
      { name: '.wh.bare' },
      { name: '/.wh.absolute' },
      { name: './.wh..wh.aufs' },
      { name: './.wh..wh.plnk/', type: '5' },
      { name: './.wh..wh.plnk/1.2' },
      { name: './folder/.wh.y' },
      { name: './.wh.' },
    ),
    trailer(),
  ]),
  doubles: Buffer.concat([
    rawTar(
      { name: './file', data: 'first' },
      { name: 'file', data: 'second' },
      { name: './folder/', type: '5' },
      { name: 'folder/', type: '5', mode: 0o700 },
    ),
    trailer(),
  ]),
} as const;

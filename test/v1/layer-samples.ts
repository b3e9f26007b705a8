import { gzipSync } from 'node:zlib';
import { type RawEntry, rawTar, trailer } from '../tar/tar-writer.ts';

export const ENTRIES: readonly RawEntry[] = [
  { name: './', type: '5', mode: 0o755, mtimeSeconds: 1400116767 },
  { name: './etc/', type: '5', mode: 0o755 },
  { name: './etc/issue', mode: 0o644, uid: 1000, gid: 50, mtimeSeconds: 1400116768, data: 'Ubuntu 14.04 LTS\n' },
  { name: './etc/link', type: '2', mode: 0o777, linkName: 'issue' },
  { name: 'etc/hard', type: '1', mode: 0o644, linkName: 'etc/issue' },
  { name: './dev/null', type: '3', mode: 0o666, deviceMajor: 1, deviceMinor: 3 },
  { name: './.wh.x', mode: 0o600 },
  { name: './.wh..wh.aufs', mode: 0o600 },
  { name: './.wh..wh.plnk/', type: '5', mode: 0o700 },
  { name: './etc/.wh.y', mode: 0o600 },
];

/** The entries of `_files`. docker-registry recognizes whiteouts in the root directory only, and leaves out AUFS' own files. */
export const FILES = [
  ['/', 'd', false, 0, 1400116767, 0o755, 0, 0],
  ['/etc', 'd', false, 0, 0, 0o755, 0, 0],
  ['/etc/issue', 'f', false, 17, 1400116768, 0o644, 1000, 50],
  ['/etc/link', 's', false, 0, 0, 0o777, 0, 0],
  ['etc/hard', 'l', false, 0, 0, 0o644, 0, 0],
  ['/dev/null', 'c', false, 0, 0, 0o666, 0, 0],
  ['/x', 'f', true, 0, 0, 0o600, 0, 0],
  ['/etc/.wh.y', 'f', false, 0, 0, 0o600, 0, 0],
];

/** Without the two zero blocks at the end of a tar, as Docker before 1.3 sent it. */
const OPEN_TAR = rawTar(...ENTRIES);
const TAR = Buffer.concat([OPEN_TAR, trailer()]);

/** The same tar in every format of layers. Python's `bz2` and `lzma` made those that Node cannot make. */
export const LAYERS: Record<string, Buffer> = {
  tar: TAR,
  'tar without trailer': OPEN_TAR,
  'tar.gz': gzipSync(TAR),
  'tar.gz without trailer': gzipSync(OPEN_TAR),
  'tar.bz2': Buffer.from(
    'QlpoOTFBWSZTWYee/KcAAK1fkfqQQAH/hAAEP/l/bV/gBEAABAAIMAEsM2GSnpEPUPUAaaAAA0A9Q/VBpNqAoAGgGgAGmgABIk1TT1EyA9QyGmjQDEaaB5R4If2jwppk5RqKl+sMJQQCoCxuoJIAEkTUYp0WgZ43iMlmJBNCxlazgQVYGYBzgoFjRWBGMSQ0CWmA+2LDuLrkr5ktO4ZBn3yDaGF2URqC2AxNIAyiOdc1BIA2+3rtjZr991ODYxDQNCDGwOtnERR6rXpJnk1zMsCpEJ2sgK8E0KA0QUQSaQMJiGgtY6QUxRXGsIxDAWQqor6CGserlMYKCWlEEmCmlRnYAB9CDNcwkJu0bCgqpaTo5gV6oJ/wVZWZyuh9JDTGUERIPoF9xVhpfermF7rkAzAH+LuSKcKEhDz35Tg=',
    'base64',
  ),
  'tar.xz': Buffer.from(
    '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Bn/ARBdABcLvBx9AZXAHUo+eRXCzCajVGD/BLN8BI1Ypbt++bCkJ2BhUnYqv9ZS7Ufr8OsXoI+2hqANrOzkjU6Q5nr453s2c+IpJew4vLLTg0Mr0xpPDtrArYTQM1RMWiESb9JxzxnBHK9ZUOb/s/wbjlmh7Pj7hfuNNbWzyIAQasQUafT53kRS0R2rXvyGCqLU/c+OyWqbhpQfKUJoFgd2lxQegBopNx8vDRAhQEX/CrUYYT5WxR1LkKg2/Gvzw1NHG1COf0oJTaru/37bkU3O6QL++Ot5VtFZk+YocGnuexp96YBMn6VmwdpduyhdUtKMNcb1dmmVmssjQi1EhMLMu7CKJfujv3owObSqO8To7pA6kiwAABJWrhWZ7AeLAAGsAoA0AABfrXAZscRn+wIAAAAABFla',
    'base64',
  ),
};

import type { LayerFormat } from '../compression/layer-format.ts';
import { BLOCK_BYTES, hasValidChecksum } from './header-checksum.ts';

/** How many bytes `formatOf` needs: the first header of a tar. */
export const HEAD_BYTES = BLOCK_BYTES;

const MAGICS: readonly [LayerFormat, Buffer][] = [
  ['gzip', Buffer.from([0x1f, 0x8b])],
  ['bzip2', Buffer.from('BZh')],
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
];
const USTAR = Buffer.from('ustar');
const USTAR_AT = 257;

/** The format of a layer, by its first bytes. @param head the first `HEAD_BYTES` bytes, or all of a shorter layer */
export function formatOf(head: Uint8Array): LayerFormat {
  if (head.length === 0) return 'empty';
  const compressed = MAGICS.find(([, magic]) => magic.equals(head.subarray(0, magic.length)));
  if (compressed) return compressed[0];
  const isTar =
    USTAR.equals(head.subarray(USTAR_AT, USTAR_AT + USTAR.length)) || hasValidChecksum(head) || isZeroBlock(head);
  return isTar ? 'tar' : 'unknown';
}

function isZeroBlock(head: Uint8Array): boolean {
  return head.length >= BLOCK_BYTES && head.every((byte) => byte === 0);
}

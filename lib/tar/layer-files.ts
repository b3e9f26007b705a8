import { CorruptLayerError } from '../compression/corrupt-layer-error.ts';
import { OversizedLayerError, type UnpackLimits } from '../compression/unpack-limits.ts';
import { RegistryError } from '../model/errors.ts';
import { stripTrailingSlashes } from '../model/strip-trailing-slashes.ts';
import { decompressLayer } from './decompress-layer.ts';
import { decodeFileName } from './file-name.ts';
import type { TarHeader } from './header.ts';
import { readTar } from './read-tar.ts';

/** File, hard link, symlink, character and block device, directory, FIFO, contiguous and sparse file, unknown. */
type LayerFileType = 'f' | 'l' | 's' | 'c' | 'b' | 'd' | 'i' | 't' | 'S' | 'u';

/** As v1's `_files` has it. */
export type LayerFile = [
  name: string,
  type: LayerFileType,
  isDeleted: boolean,
  sizeBytes: number,
  mtimeSeconds: number,
  mode: number,
  uid: number,
  gid: number,
];

const TYPES: Partial<Record<string, LayerFileType>> = {
  '\0': 'f',
  '0': 'f',
  '1': 'l',
  '2': 's',
  '3': 'c',
  '4': 'b',
  '5': 'd',
  '6': 'i',
  '7': 't',
  S: 'S',
};

/**
 * What is in a layer, in the tar's order: docker-registry's `_files`. Numbers are as the tar has them, names are decoded
 * by `decodeFileName`. A layer without a byte has no files.
 * @param layer as it was sent: a tar in any compression
 * @throws RegistryError IMAGE_LAYER_INVALID if it is not a tar, broken, cut off or too large; what the layer's stream throws
 */
export async function* listFiles(layer: AsyncIterable<Uint8Array>, limits?: UnpackLimits): AsyncGenerator<LayerFile> {
  try {
    for await (const entry of readTar(decompressLayer(layer, limits))) {
      const file = toLayerFile(entry);
      if (file) yield file;
    }
  } catch (error) {
    if (!(error instanceof CorruptLayerError)) throw error;
    const message = error instanceof OversizedLayerError ? error.message : 'Layer format not supported';
    throw new RegistryError('IMAGE_LAYER_INVALID', message, { cause: error });
  }
}

/** `undefined` for what AUFS keeps for itself. */
function toLayerFile(header: TarHeader): LayerFile | undefined {
  const { name, sizeBytes } = header.sparse ?? header;
  const type = typeOf(header);
  const path = absolute(decodeFileName(type === 'd' ? stripTrailingSlashes(name) : name));
  const isDeleted = path.startsWith('/.wh.');
  const shown = isDeleted ? `/${path.slice('/.wh.'.length)}` : path;
  if (shown.startsWith('/.wh.')) return undefined;
  return [shown, type, isDeleted, sizeBytes, header.mtimeSeconds, header.mode, header.uid, header.gid];
}

/** Tars before ustar have directories as files whose name ends in `/`. */
function typeOf({ type, name }: TarHeader): LayerFileType {
  return type === '\0' && name.endsWith('/') ? 'd' : (TYPES[type] ?? 'u');
}

function absolute(name: string): string {
  if (name === '.') return '/';
  return name.startsWith('./') ? name.slice(1) : name;
}

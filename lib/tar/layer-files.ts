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

/** An entry of v1's `_files`. */
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
 * Lists the files of a layer in the order of the tar, as docker-registry's `_files` does. Names are decoded by
 * `decodeFileName`, numbers are those of the tar. An empty layer has no files.
 * @param layer a tar in any compression, as the client sent it
 * @throws RegistryError IMAGE_LAYER_INVALID if it is not a tar, is corrupt or exceeds the limits; any error of the stream
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

/** `undefined` for the files in which AUFS keeps its own state. */
function toLayerFile(header: TarHeader): LayerFile | undefined {
  const { name, sizeBytes } = header.sparse ?? header;
  const type = typeOf(header);
  const path = absolute(decodeFileName(type === 'd' ? stripTrailingSlashes(name) : name));
  const isDeleted = path.startsWith('/.wh.');
  const shown = isDeleted ? `/${path.slice('/.wh.'.length)}` : path;
  if (shown.startsWith('/.wh.')) return undefined;
  return [shown, type, isDeleted, sizeBytes, header.mtimeSeconds, header.mode, header.uid, header.gid];
}

/** In tars before ustar a directory is a file whose name ends in `/`. */
function typeOf({ type, name }: TarHeader): LayerFileType {
  return type === '\0' && name.endsWith('/') ? 'd' : (TYPES[type] ?? 'u');
}

function absolute(name: string): string {
  if (name === '.') return '/';
  return name.startsWith('./') ? name.slice(1) : name;
}

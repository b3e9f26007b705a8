// Which tags of a repository share a layer, as the last usage run stored it.
import { isJsonObject, parseJson } from '../../model/json.ts';
import type { Digest, Tag } from '../../model/names.ts';
import type { Bytes } from '../../streams/bytes.ts';

/** `in`: positions in `targets` of some manifests that use the layer. */
export type SharedLayers = {
  /** When the run began, in ISO 8601. */
  at: string;
  targets: { tag: Tag; digest: Digest }[];
  layers: Record<Digest, { count: number; in: number[] }>;
};

/** `oci/repositories/<ns>/<repo>/shared-layers.json`: without a list where the repository was too large for one. */
export type StoredSharedLayers = SharedLayers | Pick<SharedLayers, 'at'>;

/** `undefined` where there is no list, and for anything that a run did not store. */
export function parseSharedLayers(bytes: Bytes): SharedLayers | undefined {
  const value = parseJson(bytes);
  if (!isJsonObject(value) || !Array.isArray(value.targets) || !isJsonObject(value.layers)) return undefined;
  return value as unknown as SharedLayers;
}

/**
 * Other tags that lead to a layer, up to six of them. `areAll`: there are no more.
 * @param options.except the manifest that is looked at
 */
export function tagsSharing(
  { targets, layers }: SharedLayers,
  layer: Digest,
  { except }: { except: Digest },
): { tags: Tag[]; areAll: boolean } {
  const { count, in: indexes } = layers[layer] ?? { count: 0, in: [] };
  const others = indexes.flatMap((index) => targets[index] ?? []).filter(({ digest }) => digest !== except);
  const isNamed = others.length < indexes.length;
  return { tags: others.map(({ tag }) => tag), areAll: count - (isNamed ? 1 : 0) <= others.length };
}

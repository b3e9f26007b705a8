// How a v2 image looks to v1: a chain of images with one layer each. Pure: the same manifest gives the same chain for
// ever, and images with the same base layers share the images of that base.
import { createHash } from 'node:crypto';
import type { JsonObject } from '../json.ts';
import type { Digest, ImageId } from '../names.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Descriptor, IndexChild } from './manifest-document.ts';

/** One image of the chain. */
export type ViewedImage = {
  id: ImageId;
  /** The image's JSON, as a v1 client gets it. */
  json: string;
  /** This image first, its base last. */
  ancestry: ImageId[];
  layer: Descriptor;
};

/** Fields of a v2 config that a v1 JSON has as well. */
const KEPT_FIELDS = [
  'architecture',
  'author',
  'comment',
  'config',
  'container',
  'container_config',
  'created',
  'docker_version',
  'os',
  'variant',
];

/**
 * @param digest the manifest that the tag names, or an index of it; its hex digits are the id of the top image
 * @param layers base first; at least one
 */
export function viewOf(digest: Digest, config: JsonObject, layers: readonly Descriptor[]): ViewedImage[] {
  const images: ViewedImage[] = [];
  let ancestry: ImageId[] = [];
  for (const [index, layer] of layers.entries()) {
    const isTop = index === layers.length - 1;
    const parent = ancestry[0];
    const id = isTop ? idOfManifest(digest) : chainId(parent, layer.digest);
    ancestry = [id, ...ancestry];
    // Docker 1.10 and newer sent as little for images below the top: nothing in them may depend on who made them.
    const json = { ...(isTop ? topOf(config) : {}), id, ...(parent && { parent }) };
    images.push({ id, json: canonicalJson(json), ancestry, layer });
  }
  return images;
}

function topOf(config: JsonObject): JsonObject {
  return Object.fromEntries(KEPT_FIELDS.flatMap((name) => (config[name] == null ? [] : [[name, config[name]]])));
}

function idOfManifest(digest: Digest): ImageId {
  return digest.slice('sha256:'.length) as ImageId;
}

/** The id of a layer on top of a chain. */
function chainId(parent: ImageId | undefined, layer: Digest): ImageId {
  const chain = parent ? `${parent} ${layer}` : layer;
  return createHash('sha256').update(chain).digest('hex') as ImageId;
}

/** The child of an index that v1 shows: that for linux/amd64, which was all there was, else the first. */
export function shownChild(children: readonly IndexChild[]): IndexChild | undefined {
  return children.find(({ platform }) => platform === 'linux/amd64') ?? children[0];
}

// Parsing manifests. Everything about a manifest follows from its bytes.
import { RegistryError } from './errors.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from './json.ts';
import { type Digest, parseDigest } from './names.ts';

export const MEDIA_TYPES = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerTar: 'application/vnd.docker.image.rootfs.diff.tar',
} as const;

type ManifestMediaType = (typeof MEDIA_TYPES)['ociManifest' | 'ociIndex' | 'dockerManifest' | 'dockerList'];

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#properties */
export type Descriptor = { mediaType: string; digest: Digest; sizeBytes: number };

/**
 * `platform` is `os/architecture`, if the index has it. BuildKit adds attestations, which describe another child: `attests` is
 * its digest, as the index spells it.
 */
export type IndexChild = Descriptor & { platform?: string; isAttestation?: true; attests?: string };

export type ManifestDocument = {
  mediaType: ManifestMediaType;
  /** Absent in an index. */
  config?: Descriptor;
  /** Base first; none in an index. */
  layers: Descriptor[];
  /**
   * The blobs that the repository must hold: config and layers, without non-distributable ones; of an index the children that
   * are blobs, as in a cache export of BuildKit without `image-manifest=true`.
   */
  blobs: Descriptor[];
  /** Children of an index that are manifests. */
  manifests: IndexChild[];
  /** It need not exist. */
  subject?: Descriptor;
  /** Filter of referrers: the field `artifactType`, else the media type of the config. */
  artifactType?: string;
  annotations?: Annotations;
};

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md#rules */
export type Annotations = Record<string, string>;

const IMAGE_TYPES: readonly string[] = [MEDIA_TYPES.ociManifest, MEDIA_TYPES.dockerManifest];
const INDEX_TYPES: readonly string[] = [MEDIA_TYPES.ociIndex, MEDIA_TYPES.dockerList];

/** Docker allows 127 layers, artifacts and caches have more. 4 MiB have room for twice as many. */
export const MAX_DESCRIPTORS = 10_000;

/** Fifteen for each of 10,000 descriptors; bounds the time of parsing. */
const MAX_VALUES = 150_000;

/** An index may list an index. No client nests them deeper than this. */
export const MAX_INDEX_DEPTH = 4;

/** https://github.com/moby/buildkit/blob/v0.17.0/docs/attestations/attestation-storage.md */
const ATTESTATION = 'vnd.docker.reference.type';
const ATTESTED = 'vnd.docker.reference.digest';

/** Layers that a registry need not hold. https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#non-distributable-layers */
const NONDISTRIBUTABLE = /^application\/vnd\.(?:docker\.image\.rootfs\.foreign|oci\.image\.layer\.nondistributable)\./;

/**
 * Reads a manifest. Its media type is the field `mediaType`, else the OCI type of its shape.
 * @param contentType `Content-Type` of the request; must be equal to the media type
 * @throws RegistryError MANIFEST_INVALID, with the field that is wrong
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
 * @see https://distribution.github.io/distribution/spec/manifest-v2-2/
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): ManifestDocument {
  const json = parseJson(bytes, { maxValues: MAX_VALUES });
  if (!isJsonObject(json)) throw invalid(`is not a JSON object of at most ${MAX_VALUES} values`);
  if (json.schemaVersion === 1) {
    throw invalid('has schema version 1, which no current client makes: push the image with Docker 1.10 or newer');
  }
  if (json.schemaVersion !== 2) throw invalid('has no schemaVersion 2');
  const mediaType = mediaTypeOf(json);
  if (contentType !== undefined && contentType !== mediaType) {
    throw invalid(`is ${mediaType}, but was sent as ${contentType}`);
  }
  const common = {
    mediaType,
    ...(isSet(json.subject) && { subject: descriptor(json.subject, 'subject') }),
    ...artifactType(json),
    ...annotations(json),
  };
  if (INDEX_TYPES.includes(mediaType)) {
    const all = children(json);
    const manifests = all.filter(isManifest);
    const blobs = held(all.filter((child) => !isManifest(child)));
    return { ...common, layers: [], blobs, manifests };
  }
  const config = descriptor(json.config, 'config');
  const layers = descriptors(json, 'layers');
  return { artifactType: config.mediaType, ...common, config, layers, blobs: [config, ...held(layers)], manifests: [] };
}

function isManifest({ mediaType }: Descriptor): boolean {
  return IMAGE_TYPES.includes(mediaType) || INDEX_TYPES.includes(mediaType);
}

function held(blobs: Descriptor[]): Descriptor[] {
  return blobs.filter(({ mediaType }) => !NONDISTRIBUTABLE.test(mediaType));
}

/** Go programs write `null` for an empty list and for an absent field. */
function isSet(value: JsonValue | undefined): boolean {
  return value !== undefined && value !== null;
}

/** The media type of a stored manifest. */
export function mediaTypeOfStored(bytes: Uint8Array): string {
  const json = parseJson(bytes);
  if (!isJsonObject(json)) throw new Error('a stored manifest is not a JSON object');
  return mediaTypeOf(json);
}

function mediaTypeOf(json: JsonObject): ManifestMediaType {
  const isImage = isSet(json.config) || isSet(json.layers);
  // An index without children may have `null` instead of the list.
  const isIndex = isSet(json.manifests) || (!isImage && json.manifests === null);
  if (isImage === isIndex)
    throw invalid(isImage ? 'has both layers and manifests' : 'has neither layers nor manifests');
  const named = json.mediaType === '' ? undefined : json.mediaType;
  const mediaType = named ?? (isIndex ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.ociManifest);
  const allowed = isIndex ? INDEX_TYPES : IMAGE_TYPES;
  if (typeof mediaType !== 'string' || !allowed.includes(mediaType)) {
    throw invalid(`has the mediaType ${JSON.stringify(mediaType)}; its shape allows ${allowed.join(', ')}`);
  }
  return mediaType as ManifestMediaType;
}

function artifactType(json: JsonObject): { artifactType?: string } {
  const artifactType = json.artifactType ?? '';
  if (typeof artifactType !== 'string')
    throw invalid(`has the artifactType ${JSON.stringify(artifactType)}, which is not a string`);
  return artifactType === '' ? {} : { artifactType };
}

/** They are part of the list of referrers, which clients cannot parse if a value is not a string. */
function annotations({ annotations }: JsonObject): { annotations?: Annotations } {
  if (annotations === undefined || annotations === null) return {};
  if (!isJsonObject(annotations)) throw invalid('has annotations that are not an object of strings');
  const texts = Object.entries(annotations).filter(([, value]) => value !== null);
  if (!texts.every(isText)) throw invalid('has annotations that are not an object of strings');
  return { annotations: Object.fromEntries(texts) };
}

function isText(entry: [string, JsonValue]): entry is [string, string] {
  return typeof entry[1] === 'string';
}

function children(json: JsonObject): IndexChild[] {
  const list = Array.isArray(json.manifests) ? json.manifests : [];
  return descriptors(json, 'manifests').map((child, index) => {
    const item = list[index];
    const { platform, annotations } = isJsonObject(item) ? item : {};
    const { [ATTESTATION]: type, [ATTESTED]: attests } = isJsonObject(annotations) ? annotations : {};
    return {
      ...child,
      ...(isJsonObject(platform) && { platform: `${platform.os}/${platform.architecture}` }),
      ...(type !== undefined && { isAttestation: true }),
      ...(type !== undefined && typeof attests === 'string' && { attests }),
    };
  });
}

function descriptors(json: JsonObject, field: string): Descriptor[] {
  const list = json[field] ?? [];
  if (!Array.isArray(list)) throw invalid(`has no array in ${field}`);
  if (list.length > MAX_DESCRIPTORS)
    throw invalid(`has ${list.length} entries in ${field}, at most ${MAX_DESCRIPTORS} are allowed`);
  return list.map((item, index) => descriptor(item, `${field}[${index}]`));
}

function descriptor(value: JsonValue | undefined, field: string): Descriptor {
  if (!isJsonObject(value)) throw invalid(`has no descriptor in ${field}`);
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== 'string' || mediaType === '') throw invalid(`has no mediaType in ${field}`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalid(`has the size ${JSON.stringify(size)} in ${field}, not a number of bytes`);
  if (typeof digest !== 'string') throw invalid(`has no digest in ${field}`);
  try {
    return { mediaType, digest: parseDigest(digest), sizeBytes: size };
  } catch (cause) {
    throw invalid(`has the digest ${JSON.stringify(digest.slice(0, 200))} in ${field}, which is invalid`, cause);
  }
}

function invalid(what: string, cause?: unknown): RegistryError {
  return new RegistryError('MANIFEST_INVALID', `the manifest ${what}`, { cause });
}

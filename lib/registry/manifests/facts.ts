// Facts of a manifest, in the name of an empty object, so that a listing tells them for a thousand manifests:
//
//  1.<kind>.<total bytes>.<created>.<platforms>.<artifact type, base64url>
//
// The version first. `created` is in seconds of Unix time; `platforms` are quoted and joined by `~`. A field that is unknown is
// empty. Names have at most 200 bytes: where the platforms or the artifact type do not fit, they are `_` and in the body.
import type { JsonObject } from '../../model/json.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type ManifestDocument, MEDIA_TYPES } from '../../model/manifest.ts';
import { quotePlus, unquotePlus } from '../../model/names.ts';
import { encodeText } from '../../streams/bytes.ts';

const VERSION = '1';
const MAX_NAME_BYTES = 200;
/** Stands for a field that is in the body. */
const IN_BODY = '_';

export const MANIFEST_KINDS = [
  'image',
  'index',
  'cache',
  'chart',
  'signature',
  'attestation',
  'sbom',
  'artifact',
] as const;
export type ManifestKind = (typeof MANIFEST_KINDS)[number];

/** What follows from the bytes of a manifest and of its config, and so never changes. */
export type ManifestFacts = {
  kind: ManifestKind;
  /** Config and layers; of an index those of its children, as far as their facts were known. */
  totalBytes: number;
  /** When the image was built, as its config or annotations say, to the second. */
  createdAt?: Date;
  /** `linux/amd64`, `linux/arm64/v8`. */
  platforms: string[];
  artifactType?: string;
};

/** Facts as they are stored. `body` is empty unless something does not fit into the name. */
export type StoredFacts = { name: string; body: Uint8Array };

export function encodeFacts({ kind, totalBytes, createdAt, platforms, artifactType }: ManifestFacts): StoredFacts {
  const created = createdAt ? String(Math.floor(createdAt.getTime() / 1000)) : '';
  const start = `${VERSION}.${kind}.${totalBytes}.${created}`;
  const name = `${start}.${platforms.map(quotePart).join('~')}.${Buffer.from(artifactType ?? '').toString('base64url')}`;
  if (name.length <= MAX_NAME_BYTES) return { name, body: new Uint8Array() };
  return { name: `${start}.${IN_BODY}.${IN_BODY}`, body: encodeText(JSON.stringify({ platforms, artifactType })) };
}

/** Whether the body is needed to parse these facts. */
export function isInBody(name: string): boolean {
  return name.endsWith(`.${IN_BODY}.${IN_BODY}`);
}

/** The kind in the name of facts; `undefined` for facts of another version. */
export function kindIn(name: string): ManifestKind | undefined {
  const [version, kindText] = name.split('.', 2);
  return version === VERSION ? MANIFEST_KINDS.find((known) => known === kindText) : undefined;
}

/** Whether a manifest of this kind is no index, so that it has no children. An index that is an artifact has its kind. */
export function isChildless(kind: ManifestKind | undefined): boolean {
  return kind === 'image' || kind === 'artifact';
}

/** The inverse; `undefined` for facts of another version, or without the body that the name asks for. */
export function parseFacts({ name, body }: StoredFacts): ManifestFacts | undefined {
  const [version, kindText, total = '', created = '', platformsText = '', type = '', ...more] = name.split('.');
  const kind = MANIFEST_KINDS.find((known) => known === kindText);
  if (version !== VERSION || !kind || !/^\d+$/.test(total) || !/^(?:-?\d+)?$/.test(created) || more.length > 0) {
    return undefined;
  }
  const others = isInBody(name) ? parseBody(body) : parseOthers(platformsText, type);
  const createdAt = created === '' ? undefined : new Date(Number(created) * 1000);
  return others && { kind, totalBytes: Number(total), ...(createdAt && { createdAt }), ...others };
}

type Others = Pick<ManifestFacts, 'platforms' | 'artifactType'>;

function parseBody(body: Uint8Array): Others | undefined {
  const value = parseJson(body);
  if (!isJsonObject(value) || !Array.isArray(value.platforms)) return undefined;
  const platforms = value.platforms.filter((platform) => typeof platform === 'string');
  return { platforms, ...(typeof value.artifactType === 'string' && { artifactType: value.artifactType }) };
}

function parseOthers(platformsText: string, type: string): Others | undefined {
  const platforms = platformsText === '' ? [] : platformsText.split('~').map(unquotePart);
  if (!platforms.every((platform) => platform !== undefined)) return undefined;
  const artifactType = Buffer.from(type, 'base64url').toString();
  return { platforms, ...(artifactType !== '' && { artifactType }) };
}

function quotePart(text: string): string {
  return quotePlus(text).replaceAll('.', '%2E');
}

function unquotePart(quoted: string): string | undefined {
  return unquotePlus(quoted.replaceAll('%2E', '.'));
}

/** Longer lists, and longer names than `windows/amd64/10.0.20348`, are no help; many facts are held in memory at once. */
const MAX_PLATFORMS = 100;
const MAX_PLATFORM_CHARACTERS = 64;

/** 127 on each side of the slash. https://www.rfc-editor.org/rfc/rfc6838#section-4.2 */
const MAX_TYPE_CHARACTERS = 255;

const IMAGE_CONFIGS: readonly string[] = [MEDIA_TYPES.dockerConfig, MEDIA_TYPES.ociConfig];

/** Media types that tell what an artifact is: of the artifact, its config or its layers. */
const KINDS: readonly [RegExp, ManifestKind][] = [
  [/vnd\.buildkit\.cacheconfig/, 'cache'],
  [/vnd\.cncf\.helm\.config/, 'chart'],
  [/vnd\.dev\.cosign\.simplesigning|vnd\.dev\.sigstore\.bundle|vnd\.cncf\.notary\.signature/, 'signature'],
  [/vnd\.in-toto|vnd\.dsse\.envelope/, 'attestation'],
  [/spdx|cyclonedx|vnd\.syft/, 'sbom'],
];

/**
 * Derives facts.
 * @param options.config of an image; absent if it is no JSON object or could not be read
 * @param options.children the facts of the children of an index, as far as they are known
 */
export function factsOf(
  document: ManifestDocument,
  { config = {}, children = [] }: { config?: JsonObject; children?: readonly ManifestFacts[] } = {},
): ManifestFacts {
  const { layers, manifests, blobs, artifactType, annotations } = document;
  const isIndex = document.config === undefined;
  const own = isIndex ? blobs : [...(document.config ? [document.config] : []), ...layers];
  const distinct = new Map(own.map(({ digest, sizeBytes }) => [digest, sizeBytes]));
  const sizes = [...distinct.values(), ...children.map(({ totalBytes }) => totalBytes)];
  const createdAt = parseTime(config.created) ?? parseTime(annotations?.['org.opencontainers.image.created']);
  const platforms = isIndex
    ? manifests.flatMap(({ platform, isAttestation }) => (platform === undefined || isAttestation ? [] : [platform]))
    : platformOf(config);
  const kind = kindOf(document);
  return {
    kind,
    totalBytes: sizes.reduce((sum, size) => sum + size, 0),
    ...(createdAt && { createdAt }),
    platforms: [...new Set(platforms.filter(({ length }) => length <= MAX_PLATFORM_CHARACTERS))].slice(
      0,
      MAX_PLATFORMS,
    ),
    ...(kind !== 'image' && artifactType && { artifactType: artifactType.slice(0, MAX_TYPE_CHARACTERS) }),
  };
}

/** A bundle of Sigstore is a signature, or signs a statement of another type, which it names. */
const BUNDLE = /vnd\.dev\.sigstore\.bundle/;
const PREDICATE = 'dev.sigstore.bundle.predicateType';
const SIGN_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';

function kindOf({ config, layers, manifests, blobs, artifactType, annotations }: ManifestDocument): ManifestKind {
  const predicate = BUNDLE.test(artifactType ?? '') ? annotations?.[PREDICATE] : undefined;
  if (predicate !== undefined && predicate !== SIGN_PREDICATE)
    return /spdx|cyclonedx/.test(predicate) ? 'sbom' : 'attestation';
  // BuildKit without `image-manifest=true` stores a cache as an index whose children are the config of the cache and its layers.
  // An index of images may list an SBOM too.
  const ofIndex = manifests.length > 0 ? [] : blobs;
  const own = config === undefined ? ofIndex : [config, ...layers];
  const types = [artifactType ?? '', ...own.map(({ mediaType }) => mediaType)];
  const known = KINDS.find(([pattern]) => types.some((type) => pattern.test(type)));
  if (known) return known[1];
  if (config === undefined) return 'index';
  return IMAGE_CONFIGS.includes(config.mediaType) && artifactType === config.mediaType ? 'image' : 'artifact';
}

function platformOf({ os, architecture, variant }: JsonObject): string[] {
  if (typeof os !== 'string' || typeof architecture !== 'string' || os === '' || architecture === '') return [];
  return [[os, architecture, ...(typeof variant === 'string' && variant !== '' ? [variant] : [])].join('/')];
}

/** The years that have four digits; whole seconds. */
function parseTime(text: unknown): Date | undefined {
  if (typeof text !== 'string' || !/^\d{4}-/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : new Date(Math.floor(ms / 1000) * 1000);
}

import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { attachedTag } from '../../model/attached-tag.ts';
import { RegistryError } from '../../model/errors.ts';
import { isJsonObject, type JsonValue } from '../../model/json.ts';
import { type Descriptor, parseManifest } from '../../model/manifest.ts';
import type { Digest, Reference, RepositoryName } from '../../model/names.ts';
import type { ManifestFacts } from '../../registry/manifests/facts.ts';
import type { Registry } from '../../registry/registry.ts';
import { KiB, MiB, readAtMost } from '../../streams/bytes.ts';
import { checkSimpleSigning } from './signatures/cosign.ts';
import { checkBundle, checkEnvelope } from './signatures/dsse.ts';
import { checkNotation } from './signatures/notation.ts';
import { parseCose } from './signatures/notation-cose.ts';
import { parseJws } from './signatures/notation-jws.ts';
import { type CheckedSignature, parseStrictly, type Trust, unknownSignature } from './signatures/signature.ts';

/** Signatures that are read for a page. */
export const MAX_SIGNATURES = 50;
/** Manifests of signatures list few layers; those of cosign hold the signatures themselves. */
const MAX_MANIFEST_BYTES = 512 * KiB;
/** Signed statements may hold a whole SBOM. */
export const MAX_SIGNATURE_BYTES = 4 * MiB;
/** All that is read for a page. */
export const MAX_PAGE_BYTES = 8 * MiB;
/** Each may take some MiB. */
const READS_AT_ONCE = 4;

export type SignatureRegistry = Pick<Registry, 'manifests' | 'blobs'>;

/** A signature, and the manifest that holds it. */
export type ShownSignature = CheckedSignature & { manifest: Digest };

type Layer = Descriptor & { annotations: Record<string, string> };
type Source = { manifest: Digest; layer: Layer; isNotation: boolean } | { manifest: Digest; checked: CheckedSignature };

/** Whether a referrer may hold signatures. */
export function holdsSignatures({ kind, artifactType = '' }: ManifestFacts): boolean {
  return (
    kind === 'signature' || kind === 'attestation' || artifactType.startsWith('application/vnd.dev.sigstore.bundle')
  );
}

/**
 * Reads and checks the signatures of a manifest. Storage requests: two for each of the tags of cosign, one for each referrer,
 * and two for each signature.
 * @param options.referrers manifests that refer to the subject
 * @param options.hasTags whether to look for the tags by which cosign attaches signatures and attestations
 * @returns at most `MAX_SIGNATURES`, and how many more these manifests hold
 */
export async function readSignatures(
  registry: SignatureRegistry,
  repository: RepositoryName,
  { referrers, hasTags, ...trust }: Trust & { referrers: readonly Digest[]; hasTags: boolean },
): Promise<{ signatures: ShownSignature[]; hiddenCount: number }> {
  const { digest } = trust.subject;
  const tags = hasTags ? (['sig', 'att'] as const).flatMap((ending) => attachedTag(digest, ending) ?? []) : [];
  const references: Reference[] = [...tags.map((tag) => ({ tag })), ...referrers.map((found) => ({ digest: found }))];
  const found = await mapConcurrently(references, (from) => sourcesIn(registry, repository, from), READS_AT_ONCE);
  const sources = found.flat();
  const shown = sources.slice(0, MAX_SIGNATURES);
  let roomBytes = MAX_PAGE_BYTES;
  const planned = shown.map((source) => {
    if ('checked' in source) return source;
    roomBytes -= source.layer.sizeBytes;
    const fits = source.layer.sizeBytes <= MAX_SIGNATURE_BYTES && roomBytes >= 0;
    if (!fits) roomBytes += source.layer.sizeBytes;
    return fits ? source : { manifest: source.manifest, checked: unknownSignature('tooLarge') };
  });
  const signatures = await mapConcurrently(
    planned,
    async (source) => ({
      ...('checked' in source ? source.checked : await check(registry, repository, { ...source, trust })),
      manifest: source.manifest,
    }),
    READS_AT_ONCE,
  );
  return { signatures, hiddenCount: sources.length - shown.length };
}

/** The signatures that a manifest holds; none if the repository does not hold it. */
async function sourcesIn(
  { manifests }: SignatureRegistry,
  repository: RepositoryName,
  reference: Reference,
): Promise<Source[]> {
  try {
    const { digest, bytes } = await manifests.get(repository, reference);
    if (bytes.length > MAX_MANIFEST_BYTES) return [{ manifest: digest, checked: unknownSignature('tooLarge') }];
    const { artifactType, layers } = parseManifest(bytes);
    const isNotation = artifactType === NOTATION;
    const signed = layers
      .map((layer, index) => ({ layer, index }))
      .filter(({ layer }) => isNotation || isSigned(layer));
    if (signed.length === 0) return [];
    // An annotation that is there twice is read in two ways, so nothing of the manifest is believed.
    const strict = parseStrictly(bytes)?.layers;
    if (!Array.isArray(strict)) return [{ manifest: digest, checked: unknownSignature('unreadable') }];
    return signed.map(({ layer, index }) => {
      const annotations = annotationsIn(strict[index]);
      return { manifest: digest, isNotation, layer: { ...layer, annotations } };
    });
  } catch (error) {
    if (error instanceof RegistryError) return []; // deleted since it was listed, or never there
    throw error;
  }
}

function annotationsIn(layer: JsonValue | undefined): Record<string, string> {
  const annotations = isJsonObject(layer) && isJsonObject(layer.annotations) ? layer.annotations : {};
  return Object.fromEntries(
    Object.entries(annotations).flatMap(([name, text]) => (typeof text === 'string' ? [[name, text] as const] : [])),
  );
}

const NOTATION = 'application/vnd.cncf.notary.signature';
/** Readers of its envelopes, by media type. */
const NOTATION_ENVELOPES = new Map([
  ['application/jose+json', parseJws],
  ['application/cose', parseCose],
]);
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
const ENVELOPE = 'application/vnd.dsse.envelope.v1+json';
const BUNDLE = /^application\/vnd\.dev\.sigstore\.bundle[.+]/;

/** Whether the layer is a signature by its media type. Those of notation have one that others use too. */
function isSigned({ mediaType }: Descriptor): boolean {
  return mediaType === SIMPLE_SIGNING || mediaType === ENVELOPE || BUNDLE.test(mediaType);
}

async function check(
  registry: SignatureRegistry,
  repository: RepositoryName,
  { layer, isNotation, trust }: { layer: Layer; isNotation: boolean; trust: Trust },
): Promise<CheckedSignature> {
  const { mediaType, annotations } = layer;
  const parseEnvelope = NOTATION_ENVELOPES.get(mediaType);
  if (isNotation && !parseEnvelope) return unknownSignature('otherType', 'notation');
  const bytes = await readLayer(registry, repository, layer);
  if (!bytes) return unknownSignature('unavailable');
  if (isNotation) return await checkNotation(parseEnvelope?.(bytes), trust);
  if (mediaType === SIMPLE_SIGNING) return await checkSimpleSigning(bytes, annotations, trust);
  return mediaType === ENVELOPE ? await checkEnvelope(bytes, trust) : await checkBundle(bytes, trust);
}

async function readLayer(
  { blobs }: SignatureRegistry,
  repository: RepositoryName,
  { digest, sizeBytes }: Layer,
): Promise<Uint8Array | undefined> {
  const link = await blobs.find(repository, digest);
  if (link?.sizeBytes !== sizeBytes) return undefined;
  return await readAtMost(await blobs.read(link), sizeBytes, 'the signature');
}

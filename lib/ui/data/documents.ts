// Documents that describe an image: SBOMs and statements, each a layer of an artifact.
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import { decompress } from '../../compression/decompress.ts';
import { OversizedLayerError } from '../../compression/unpack-limits.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { InvalidJsonError, TooManyValuesError } from '../../model/json-scanner.ts';
import type { Descriptor } from '../../model/manifest.ts';
import { algorithmOf, type Digest, hexOf, type RepositoryName } from '../../model/names.ts';
import type { Registry } from '../../registry/registry.ts';
import { ByteReader } from '../../streams/byte-reader.ts';
import { KiB, MiB } from '../../streams/bytes.ts';
import type { ImageDetails } from './image-details.ts';
import type { PackagePage } from './sbom.ts';
import { type DocumentContent, DocumentReader } from './statement.ts';

/** Larger documents, packed or unpacked, are not read. */
export const MAX_DOCUMENT_BYTES = 32 * MiB;

/** Read in one turn of the event loop: a few milliseconds. */
const SLICE_BYTES = 64 * KiB;

/** More documents of one artifact are not shown. */
const MAX_DOCUMENTS = 20;

/** A layer that is an SBOM or a statement. `type` says what it is: a predicate type, else a media type. */
export type AttachedDocument = Descriptor & { type: string };

/**
 * Of layers, as BuildKit and `cosign attest` name it; of the manifest, for a Sigstore bundle.
 * @see https://github.com/moby/buildkit/blob/v0.17.0/docs/attestations/attestation-storage.md#attestation-manifest-descriptor
 */
const PREDICATE_TYPES = ['in-toto.io/predicate-type', 'predicateType'] as const;
const BUNDLED_TYPE = 'dev.sigstore.bundle.predicateType';

const DOCUMENT_TYPE = /spdx|cyclonedx|vnd\.syft|vnd\.in-toto|vnd\.dsse\.envelope|vnd\.dev\.sigstore\.bundle/;

/** The documents of an artifact, by the media types of its layers, or of the artifact where clients name it there only. */
export function documentsOf({ bytes, document }: ImageDetails): AttachedDocument[] {
  const { layers, artifactType = '', annotations } = document;
  const isArtifact = DOCUMENT_TYPE.test(artifactType);
  const isDocument = ({ mediaType }: Descriptor) => DOCUMENT_TYPE.test(mediaType);
  const documents = layers
    .map((layer, index) => ({ layer, index }))
    .filter(({ layer }) => isArtifact || isDocument(layer));
  if (documents.length === 0) return [];
  const manifest = parseJson(bytes);
  const listed = isJsonObject(manifest) && Array.isArray(manifest.layers) ? manifest.layers : [];
  return documents.slice(0, MAX_DOCUMENTS).map(({ layer, index }) => {
    const item = listed[index];
    const own = isJsonObject(item) && isJsonObject(item.annotations) ? item.annotations : {};
    const predicateType = PREDICATE_TYPES.map((name) => own[name]).find((type) => typeof type === 'string');
    const mediaType = isDocument(layer) ? layer.mediaType : artifactType;
    return { ...layer, type: predicateType ?? annotations?.[BUNDLED_TYPE] ?? mediaType };
  });
}

/** Why a document is not shown. */
export type DocumentProblem = 'tooLarge' | 'tooMany' | 'absent' | 'notJson' | 'corrupt' | 'otherDigest';

/**
 * Reads a document that the repository holds. Two storage requests; one for a document that is too large. Memory: a piece of
 * it, and what is shown of it.
 */
export async function readDocument(
  { blobs }: Pick<Registry, 'blobs'>,
  { repository, digest, page }: { repository: RepositoryName; digest: Digest; page: PackagePage },
): Promise<DocumentContent | DocumentProblem> {
  const link = await blobs.find(repository, digest);
  if (!link) return 'absent';
  if (link.sizeBytes > MAX_DOCUMENT_BYTES) return 'tooLarge';
  const hash = createHash(algorithmOf(digest));
  try {
    const content = await read(unpacked(hashed(await blobs.read(link), hash)), new DocumentReader(page));
    return hash.digest('hex') === hexOf(digest) ? content : 'otherDigest';
  } catch (error) {
    if (error instanceof OversizedLayerError) return 'tooLarge';
    if (error instanceof CorruptLayerError) return 'corrupt';
    throw error;
  }
}

/** Reads to the end also what is not shown, since only then its digest is known. */
async function read(
  body: AsyncIterable<Uint8Array>,
  reader: DocumentReader,
): Promise<DocumentContent | 'notJson' | 'tooMany'> {
  let problem: 'notJson' | 'tooMany' | undefined;
  const unlessRefused = <T>(work: () => T): T | undefined => {
    try {
      return problem === undefined ? work() : undefined;
    } catch (error) {
      if (error instanceof TooManyValuesError) problem = 'tooMany';
      else if (error instanceof InvalidJsonError) problem = 'notJson';
      else throw error;
      return undefined;
    }
  };
  let sizeBytes = 0;
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      const slice = chunk.subarray(at, at + SLICE_BYTES);
      unlessRefused(() => reader.write(slice));
      sizeBytes += slice.length;
      if (sizeBytes < SLICE_BYTES) continue;
      sizeBytes = 0;
      await setImmediate();
    }
  }
  const content = unlessRefused(() => reader.end());
  return content ?? problem ?? 'notJson';
}

async function* hashed(body: AsyncIterable<Uint8Array>, hash: { update(bytes: Uint8Array): unknown }) {
  for await (const chunk of body) {
    hash.update(chunk);
    yield chunk;
  }
}

/** Some clients compress documents without saying so in the media type. */
async function* unpacked(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(body);
  const head = await reader.peek(2);
  if (head[0] !== 0x1f || head[1] !== 0x8b) yield* reader.rest();
  else yield* decompress(reader.rest(), 'gzip', { maxBytes: MAX_DOCUMENT_BYTES, maxRatio: Number.POSITIVE_INFINITY });
}

// The object in which the collector keeps what it has read of the manifests of a repository. It is one JSON document, with a line for
// each manifest, so it is written and read in bounded memory. Earlier versions wrote the same document on one line.
import { isJsonObject, type JsonValue, parseJson } from '../../model/json.ts';
import type { Key } from '../../model/layout.ts';
import type { Digest } from '../../model/names.ts';
import { AS_JSON, type ETag, type StorageDriver, type StoredObject } from '../../storage/driver.ts';
import { concatBytes, decodeText, encodeText, MiB, readAll } from '../../streams/bytes.ts';
import { linesOf } from '../../streams/lines.ts';
import type { ListedManifests, ManifestEdges } from './listed-manifests.ts';

export type KeptManifest = { digest: Digest } & ({ edges: ManifestEdges } | { gone: ETag });

/** Deeper values of a document on one line, for a million manifests. */
const MAX_VALUES = 50_000_000;

/** Raised when the form of the object changes: then all manifests are read again. */
const VERSION = 1;

const FIRST_LINE = `{"version":${VERSION},"edges":{`;
const MIDDLE_LINE = '},"gone":{';
const LAST_LINE = '}}';

/** Bytes that are written at once. */
const PIECE_BYTES = MiB;

const DIGEST = /^sha(?:256:[a-f0-9]{64}|512:[a-f0-9]{128})$/;

/** Stores what is known of the manifests. One storage request; several above the size of a part. */
export async function storeKeptEdges(storage: StorageDriver, key: Key, manifests: ListedManifests): Promise<void> {
  const pieces = encodeKeptEdges(manifests);
  const [first, second] = [pieces.next(), pieces.next()];
  if (first.done) return;
  if (second.done) {
    await storage.put(key, first.value, AS_JSON);
    return;
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield first.value ?? new Uint8Array();
    yield second.value ?? new Uint8Array();
    yield* pieces;
  }
  await storage.putStream(key, all(), AS_JSON);
}

function* encodeKeptEdges(manifests: ListedManifests): Generator<Uint8Array, undefined> {
  let text = '';
  for (const line of kept(manifests)) {
    text += line;
    if (text.length < PIECE_BYTES) continue;
    yield encodeText(text);
    text = '';
  }
  if (text !== '') yield encodeText(text);
  return undefined;
}

function* kept(manifests: ListedManifests): Generator<string> {
  yield FIRST_LINE;
  let end = '\n';
  for (const index of manifests.indexes()) {
    const edges = manifests.stateAt(index) === 'gone' ? undefined : manifests.edgesAt(index);
    if (!edges) continue;
    yield `${end}"${manifests.digestAt(index)}":${JSON.stringify(edges)}`;
    end = ',\n';
  }
  yield `\n${MIDDLE_LINE}`;
  end = '\n';
  for (const index of manifests.indexes()) {
    if (manifests.stateAt(index) !== 'gone') continue;
    yield `${end}"${manifests.digestAt(index)}":${JSON.stringify(manifests.infoAt(index).etag)}`;
    end = ',\n';
  }
  yield `\n${LAST_LINE}\n`;
}

/** What the object holds. Anything that is not what `storeKeptEdges` writes counts as nothing: then the manifests are read again. */
export async function* decodeKeptEdges(object: StoredObject | undefined): AsyncGenerator<KeptManifest> {
  if (!object) return;
  const { start, all } = await peek(object.body, FIRST_LINE.length + 1);
  if (start.startsWith(`${FIRST_LINE}\n`)) yield* decodeLines(all);
  else yield* decodeDocument(parseJson(await readAll(all), { maxValues: MAX_VALUES }));
}

async function* decodeLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<KeptManifest> {
  let section = 'edges';
  for await (const line of linesOf(chunks)) {
    if (line === MIDDLE_LINE) section = 'gone';
    if (!line.startsWith('"')) continue;
    const entry = parseJson(encodeText(`{${line.replace(/,$/, '')}}`));
    yield* decodeDocument({ version: VERSION, [section]: entry ?? {} });
  }
}

function* decodeDocument(value: JsonValue | undefined): Generator<KeptManifest> {
  if (!isJsonObject(value) || value.version !== VERSION) return;
  for (const [digest, item] of entriesOf(value.edges)) {
    const edges = decodeEdges(item);
    if (isDigestText(digest) && edges) yield { digest, edges };
  }
  for (const [digest, etag] of entriesOf(value.gone)) {
    if (isDigestText(digest) && typeof etag === 'string') yield { digest, gone: etag as ETag };
  }
}

function entriesOf(value: JsonValue | undefined): [string, JsonValue][] {
  return isJsonObject(value) ? Object.entries(value) : [];
}

function decodeEdges(value: JsonValue): ManifestEdges | undefined {
  if (!isJsonObject(value) || typeof value.sizeBytes !== 'number') return undefined;
  const { sizeBytes, blobs, manifests, subject, isConversion } = value;
  if (!isDigestList(blobs) || !isDigestList(manifests)) return undefined;
  if (subject !== undefined && !isDigestText(subject)) return undefined;
  return { sizeBytes, blobs, manifests, ...(subject && { subject }), ...(isConversion === true && { isConversion }) };
}

function isDigestText(value: JsonValue): value is Digest {
  return typeof value === 'string' && DIGEST.test(value);
}

function isDigestList(value: JsonValue | undefined): value is Digest[] {
  return Array.isArray(value) && value.every(isDigestText);
}

/** The first bytes of a body as text, at least so many if it has them, and the whole body. */
async function peek(
  body: AsyncIterable<Uint8Array>,
  bytes: number,
): Promise<{ start: string; all: AsyncIterable<Uint8Array> }> {
  const chunks = body[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  for (let sizeBytes = 0; sizeBytes < bytes; ) {
    const { done, value } = await chunks.next();
    if (done) break;
    first.push(value);
    sizeBytes += value.length;
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* first;
    yield* { [Symbol.asyncIterator]: () => chunks };
  }
  return { start: decodeText(concatBytes(first).subarray(0, bytes)), all: all() };
}

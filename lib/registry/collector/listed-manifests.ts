// The manifests of one repository with what they name, packed: a repository may have a million.
import { algorithmOf, type Digest, hexOf } from '../../model/names.ts';
import type { ObjectInfo } from '../../storage/driver.ts';
import { ByteRecords } from '../inventory/byte-records.ts';
import type { ListedDigests } from '../inventory/listed-objects.ts';

/** What a manifest names. */
export type ManifestEdges = {
  /** The size of the manifest, which is that of its object only while it is live. */
  sizeBytes: number;
  /** Config and layers, without those that a registry need not hold. */
  blobs: Digest[];
  /** The children of an index that are manifests. */
  manifests: Digest[];
  subject?: Digest;
  /** Whether it may be the conversion of a v1 image. */
  isConversion?: true;
};

/** `unreadable`: its edges are unknown, so that nothing in its repository may be condemned. */
export type ManifestState = 'live' | 'condemned' | 'gone' | 'unreadable';

export type ListedManifest = { info: ObjectInfo; state: ManifestState; edges?: ManifestEdges | undefined };

const STATES: readonly (ManifestState | undefined)[] = [undefined, 'live', 'condemned', 'gone', 'unreadable'];

/** Manifests by their numbers in a listing. Those that are not known are passed over: they are deleted by now, or were not read. */
export class ListedManifests {
  readonly #listed: ListedDigests;
  readonly #states: Uint8Array;
  /** The number of the record, from 1 on; 0 for unknown edges. */
  readonly #records: Uint32Array;
  readonly #edges = new ByteRecords();

  constructor(listed: ListedDigests) {
    this.#listed = listed;
    this.#states = new Uint8Array(listed.size);
    this.#records = new Uint32Array(listed.size);
  }

  /** How many are known. */
  get size(): number {
    return this.#states.reduce((count, state) => (state > 0 ? count + 1 : count), 0);
  }

  /** How many were listed: their numbers are less. */
  get listedCount(): number {
    return this.#listed.size;
  }

  /** -1 if it is not known. */
  indexOf(digest: Digest): number {
    const index = this.#listed.indexOf(digest);
    return this.stateAt(index) === undefined ? -1 : index;
  }

  has(digest: Digest): boolean {
    return this.indexOf(digest) >= 0;
  }

  get(digest: Digest): ListedManifest | undefined {
    return this.at(this.#listed.indexOf(digest));
  }

  digestAt(index: number): Digest {
    return this.#listed.digestAt(index);
  }

  infoAt(index: number): ObjectInfo {
    return this.#listed.infoAt(index);
  }

  stateAt(index: number): ManifestState | undefined {
    return STATES[this.#states[index] ?? 0];
  }

  edgesAt(index: number): ManifestEdges | undefined {
    const record = this.#records[index] ?? 0;
    return record > 0 ? decodeEdges(this.#edges.at(record - 1)) : undefined;
  }

  hasEdges(index: number): boolean {
    return (this.#records[index] ?? 0) > 0;
  }

  at(index: number): ListedManifest | undefined {
    const state = this.stateAt(index);
    return state && new PackedManifest(this, index, state);
  }

  /** The numbers of those that are known, and for which this is true when it is their turn. */
  *indexes(isWanted: (index: number) => boolean = () => true): Generator<number> {
    for (let index = 0; index < this.listedCount; index++) if (this.stateAt(index) && isWanted(index)) yield index;
  }

  *digests(): Generator<Digest> {
    for (const index of this.indexes()) yield this.digestAt(index);
  }

  setState(index: number, state: ManifestState): void {
    this.#states[index] = STATES.indexOf(state);
  }

  setEdges(index: number, edges: ManifestEdges): void {
    this.#records[index] = this.#edges.add(encodeEdges(edges)) + 1;
  }

  /** What a reading has found, which may be another object than the listing has. */
  set(index: number, { info, state, edges }: ListedManifest): void {
    this.#listed.update(index, info);
    this.setState(index, state);
    if (edges) this.setEdges(index, edges);
    else this.#records[index] = 0;
  }
}

/** Its edges, for which most manifests are not asked, are unpacked when they are. */
class PackedManifest implements ListedManifest {
  readonly state: ManifestState;
  readonly #manifests: ListedManifests;
  readonly #index: number;

  constructor(manifests: ListedManifests, index: number, state: ManifestState) {
    this.#manifests = manifests;
    this.#index = index;
    this.state = state;
  }

  get info(): ObjectInfo {
    return this.#manifests.infoAt(this.#index);
  }

  get edges(): ManifestEdges | undefined {
    return this.#manifests.edgesAt(this.#index);
  }
}

const HAS_SUBJECT = 1;
const IS_CONVERSION = 2;
const HEADER_BYTES = 8 + 1 + 4;

/** Size, flags, number of blobs; then the subject, the blobs and the children, each with the length of its digits before it. */
function encodeEdges({ sizeBytes, blobs, manifests, subject, isConversion }: ManifestEdges): Buffer {
  const digests = [...(subject ? [subject] : []), ...blobs, ...manifests];
  const record = Buffer.allocUnsafe(digests.reduce((sum, digest) => sum + 1 + bytesOf(digest), HEADER_BYTES));
  record.writeDoubleLE(sizeBytes, 0);
  record.writeUInt8((subject ? HAS_SUBJECT : 0) + (isConversion ? IS_CONVERSION : 0), 8);
  record.writeUInt32LE(blobs.length, 9);
  let at = HEADER_BYTES;
  for (const digest of digests) {
    at = record.writeUInt8(bytesOf(digest), at);
    at += record.write(hexOf(digest), at, bytesOf(digest), 'hex');
  }
  return record;
}

function decodeEdges(record: Buffer): ManifestEdges {
  const flags = record.readUInt8(8);
  const blobCount = record.readUInt32LE(9);
  const digests: Digest[] = [];
  for (let at = HEADER_BYTES; at < record.length; ) {
    const end = at + 1 + record.readUInt8(at);
    const hex = record.toString('hex', at + 1, end);
    digests.push(`${hex.length === SHA512_DIGITS ? 'sha512' : 'sha256'}:${hex}` as Digest);
    at = end;
  }
  const subject = flags & HAS_SUBJECT ? digests.shift() : undefined;
  return {
    sizeBytes: record.readDoubleLE(0),
    blobs: digests.slice(0, blobCount),
    manifests: digests.slice(blobCount),
    ...(subject && { subject }),
    ...(flags & IS_CONVERSION && { isConversion: true }),
  };
}

const SHA512_DIGITS = 128;
const DIGEST_BYTES = { sha256: 32, sha512: 64 };

function bytesOf(digest: Digest): number {
  return DIGEST_BYTES[algorithmOf(digest)];
}

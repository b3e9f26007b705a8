// A client that pushes, pulls, moves and deletes tags of its own while collectors run, and knows what it may rely on: what was
// acknowledged is there and whole until the client itself deletes it.
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf, withDigest } from '../v2/client.ts';
import { type Content, newConfig, OCI_INDEX, OCI_MANIFEST } from './content.ts';
import { type Answer, exchange, locationOf, Refusal, type Send } from './exchange.ts';
import type { Random } from './random.ts';

export type ChaosOptions = {
  /** Requests may go to any of these servers. */
  servers: readonly Send[];
  repositories: readonly string[];
  /** Layers that all clients push, so that they meet. */
  layers: readonly Content[];
  /** For this long after an acknowledgement the client relies on a blob that no manifest names yet. */
  reliesMs: number;
  /** Tells what broke a promise. */
  report: (violation: string) => void;
};

type Document = { digest: string; bytes: Buffer<ArrayBuffer>; mediaType: string };
type Descriptor = { mediaType: string; digest: string; size: number };
/** What a tag names; `unknown` after a write without an answer, until it is read. */
type Expected = { kind: 'absent' } | { kind: 'manifest'; digest: string } | { kind: 'unknown'; oneOf: Set<string> };

const PAUSE_MS = 50;
const REQUEST_MS = 8000;
const ABSENT = 'absent';

export class ChaosClient {
  readonly counts = new Map<string, number>();
  readonly #random: Random;
  readonly #options: ChaosOptions;
  readonly #name: string;
  readonly #repository: string;
  readonly #expected = new Map<string, Expected>();
  #pushes = 0;

  constructor(random: Random, name: string, repository: string, options: ChaosOptions) {
    this.#random = random;
    this.#name = name;
    this.#repository = repository;
    this.#options = options;
  }

  /** Goes on until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const tag = `${this.#name}-${this.#random.between(0, 3)}`;
      const step = this.#random.fraction();
      try {
        if (step < 0.45) await this.#push(tag);
        else if (step < 0.75) await this.#pull(tag);
        else if (step < 0.9) await this.#deleteTag(tag);
        else await this.#deleteManifest(tag);
      } catch (error) {
        if (isFault(error)) this.#count('without an answer');
        else this.#violated(`${tag}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  /** Reads all that this client has pushed and not deleted. @returns the digests of its manifests */
  async pullAll(): Promise<string[]> {
    const digests: string[] = [];
    for (const tag of this.#expected.keys()) {
      const digest = await this.#pull(tag);
      if (digest !== undefined) digests.push(digest);
    }
    return digests;
  }

  async deleteAll(): Promise<void> {
    for (const tag of this.#expected.keys()) {
      await this.#request([202, 404], 'DELETE', `/v2/${this.#repository}/manifests/${tag}`);
      this.#expected.set(tag, { kind: 'absent' });
    }
  }

  get repository(): string {
    return this.#repository;
  }

  async #push(tag: string): Promise<void> {
    const layers = this.#random.some(this.#random.between(1, 4), this.#options.layers);
    const config = newConfig(this.#random.branch(this.#pushes++), layers.length);
    const acknowledgedAt = performance.now();
    for (const content of [config, ...layers]) await this.#pushBlob(content);
    const image = documentOf(OCI_MANIFEST, {
      config: descriptorOf(config),
      layers: layers.map(descriptorOf),
      annotations: { push: `${this.#name} ${this.#pushes}` },
    });
    const path = `/v2/${this.#repository}/manifests`;
    if (this.#random.chance(0.8)) return await this.#putTag(tag, image, acknowledgedAt);
    const childAt = performance.now();
    if (!(await this.#putManifest(`${path}/${image.digest}`, image, acknowledgedAt))) return;
    const child = { mediaType: OCI_MANIFEST, digest: image.digest, size: image.bytes.length };
    await this.#putTag(tag, documentOf(OCI_INDEX, { manifests: [child] }), childAt);
  }

  async #putTag(tag: string, document: Document, reliesSince: number): Promise<void> {
    const before = this.#expected.get(tag) ?? { kind: 'absent' };
    this.#expected.set(tag, uncertain(before, document.digest));
    if (await this.#putManifest(`/v2/${this.#repository}/manifests/${tag}`, document, reliesSince)) {
      this.#expected.set(tag, { kind: 'manifest', digest: document.digest });
      this.#count('pushed');
    } else this.#expected.set(tag, before);
  }

  /** @returns false if a blob was collected meanwhile, as it may be where too much time has passed since it was acknowledged */
  async #putManifest(path: string, { bytes, mediaType }: Document, reliesSince: number): Promise<boolean> {
    const headers = { 'Content-Type': mediaType };
    const { status, body } = await this.#request([201, 404, 400], 'PUT', path, { body: bytes, headers });
    if (status === 201) return true;
    const waitedMs = performance.now() - reliesSince;
    this.#count('pushed too late');
    if (waitedMs < this.#options.reliesMs) {
      this.#violated(`PUT ${path} ${Math.round(waitedMs)} ms after its blobs were acknowledged: ${body.toString()}`);
    }
    return false;
  }

  /** As docker does: asks for the blob, mounts it from another repository, or sends it. */
  async #pushBlob(content: Content): Promise<void> {
    const digest = digestOf(content.bytes);
    const uploads = `/v2/${this.#repository}/blobs/uploads/`;
    const head = await this.#request([200, 404], 'HEAD', `/v2/${this.#repository}/blobs/${digest}`);
    if (head.status === 200) return this.#count('found');
    const from = this.#random.pick(this.#options.repositories);
    const start = await this.#request([201, 202], 'POST', `${uploads}?mount=${digest}&from=${from}`);
    if (start.status === 201) return this.#count('mounted');
    const body = content.bytes;
    const location = this.#random.chance(0.5)
      ? locationOf(start)
      : locationOf(await this.#request([202], 'PATCH', locationOf(start), { body }));
    const isSent = location !== locationOf(start);
    await this.#request([201], 'PUT', withDigest(location, digest), isSent ? {} : { body });
    this.#count('uploaded');
  }

  /** @returns the digest of what the tag names */
  async #pull(tag: string): Promise<string | undefined> {
    const expected = this.#expected.get(tag);
    if (!expected) return undefined;
    const answer = await this.#request([200, 404], 'GET', `/v2/${this.#repository}/manifests/${tag}`);
    const seen = answer.status === 200 ? digestOf(answer.body) : ABSENT;
    if (!namesOf(expected).has(seen)) {
      this.#violated(`${this.#repository}:${tag} names ${seen}, not ${[...namesOf(expected)].join(' or ')}`);
      return undefined;
    }
    this.#expected.set(tag, seen === ABSENT ? { kind: 'absent' } : { kind: 'manifest', digest: seen });
    if (seen === ABSENT) return undefined;
    await this.#pullDocument(answer.body);
    this.#count('pulled');
    return seen;
  }

  async #pullDocument(bytes: Buffer): Promise<void> {
    const { manifests, config, layers } = JSON.parse(bytes.toString()) as {
      manifests?: Descriptor[];
      config?: Descriptor;
      layers?: Descriptor[];
    };
    for (const child of manifests ?? []) {
      const answer = await this.#request([200, 404], 'GET', `/v2/${this.#repository}/manifests/${child.digest}`);
      if (digestOf(answer.body) !== child.digest) this.#violated(`the child ${child.digest}: ${answer.status}`);
      else await this.#pullDocument(answer.body);
    }
    for (const { digest } of [...(config ? [config] : []), ...(layers ?? [])]) {
      const answer = await this.#request([200, 404, 500], 'GET', `/v2/${this.#repository}/blobs/${digest}`);
      if (digestOf(answer.body) !== digest)
        this.#violated(`the blob ${digest}: ${answer.status} ${answer.body.length}`);
    }
  }

  async #deleteTag(tag: string): Promise<void> {
    await this.#delete(tag, `/v2/${this.#repository}/manifests/${tag}`);
  }

  /** By its digest, with every tag that names it: each manifest is this client's own. */
  async #deleteManifest(tag: string): Promise<void> {
    const expected = this.#expected.get(tag);
    if (expected?.kind !== 'manifest') return;
    await this.#delete(tag, `/v2/${this.#repository}/manifests/${expected.digest}`);
  }

  async #delete(tag: string, path: string): Promise<void> {
    const before = this.#expected.get(tag);
    if (!before) return;
    this.#expected.set(tag, uncertain(before, ABSENT));
    await this.#request([202, 404], 'DELETE', path);
    this.#expected.set(tag, { kind: 'absent' });
    this.#count('deleted');
  }

  /** Repeats a request to which a server gives no answer now. A write that is repeated may have been done already. */
  async #request(statuses: number[], method: string, path: string, init: RequestInit = {}): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      const send = this.#random.pick(this.#options.servers);
      try {
        return await exchange(send, statuses, method, path, { ...init, signal: AbortSignal.timeout(REQUEST_MS) });
      } catch (error) {
        if (!isFault(error) || attempt >= 40) throw error;
        // The state of an upload may be lost with the connection: the blob is sent from the start.
        if (method === 'PATCH' || (method === 'PUT' && path.includes('/uploads/'))) throw error;
        await sleep(PAUSE_MS * (1 + Math.min(attempt, 10)));
      }
    }
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #violated(what: string): void {
    this.#options.report(`${this.#name}: ${what}`);
  }
}

/** No answer, or one that asks the client to come again, or to begin its upload again. */
function isFault(error: unknown): boolean {
  if (!(error instanceof Refusal)) return !(error instanceof SyntaxError);
  const { status, body } = error.answer;
  return status === 503 || (status === 404 && body.toString().includes('BLOB_UPLOAD_UNKNOWN'));
}

function uncertain(before: Expected, digest: string): Expected {
  return { kind: 'unknown', oneOf: new Set([...namesOf(before), digest]) };
}

function namesOf(expected: Expected): ReadonlySet<string> {
  if (expected.kind === 'unknown') return expected.oneOf;
  return new Set([expected.kind === 'absent' ? ABSENT : expected.digest]);
}

function documentOf(mediaType: string, fields: object): Document {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...fields }));
  return { digest: digestOf(bytes), bytes, mediaType };
}

function descriptorOf({ mediaType, bytes }: Content): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

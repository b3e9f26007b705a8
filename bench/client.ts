// The load client for pushes, a process of its own: `node bench/client.ts push '<json>'`. To keep
// its own CPU use small (0.2 s for 1 GiB), it writes one block of random bytes repeatedly, straight to the socket.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { mapConcurrently } from '../lib/concurrency/map-concurrently.ts';
import { KiB, MiB } from '../lib/streams/bytes.ts';

/** What to push, and the target: `http://127.0.0.1:5000/v2/bench/blob`. */
export type PushTask = { repositoryUrl: string } & (
  | { kind: 'patch' | 'put'; sizeMiB: number; atOnce: number }
  | { kind: 'small'; count: number; sizeBytes: number; atOnce: number }
);
/** `digest`: of the last blob. */
export type PushResult = { seconds: number; digest: string };

/** Go's HTTP client copies a body of unknown length in pieces of 32 KiB, each of which becomes a chunk: Docker's PATCH. */
const GO_CHUNK_BYTES = 32 * KiB;

const agent = new Agent({ keepAlive: true });

process.stdout.write(JSON.stringify(await push(JSON.parse(process.argv[2] ?? '') as PushTask)));
agent.destroy();

async function push(task: PushTask): Promise<PushResult> {
  if (task.kind !== 'small') return await pushBig(task);
  const blobs = Array.from({ length: task.count }, () => randomBytes(task.sizeBytes));
  const digests = new Map(blobs.map((bytes) => [bytes, digestOf([bytes])]));
  const seconds = await secondsOf(() =>
    mapConcurrently([...digests], ([bytes, digest]) => pushByPut(task.repositoryUrl, [bytes], digest), task.atOnce),
  );
  return { seconds, digest: [...digests.values()].at(-1) ?? '' };
}

/** Pushes `atOnce` blobs, each over a connection of its own. */
async function pushBig({
  repositoryUrl,
  kind,
  sizeMiB,
  atOnce,
}: PushTask & { kind: 'patch' | 'put' }): Promise<PushResult> {
  const rest = randomBytes(MiB);
  const blobs = Array.from({ length: atOnce }, () => {
    const blocks = [randomBytes(MiB), ...Array<Buffer>(sizeMiB - 1).fill(rest)];
    return { blocks, digest: digestOf(blocks) };
  });
  const pushIt = kind === 'put' ? pushByPut : pushByPatch;
  const seconds = await secondsOf(() =>
    Promise.all(blobs.map(({ blocks, digest }) => pushIt(repositoryUrl, blocks, digest))),
  );
  return { seconds, digest: blobs.at(-1)?.digest ?? '' };
}

/** As containerd does: POST, and a PUT of known length that names the digest. */
async function pushByPut(repositoryUrl: string, blocks: readonly Buffer[], digest: string): Promise<void> {
  const location = await startUpload(repositoryUrl);
  const sizeBytes = blocks.reduce((sum, block) => sum + block.length, 0);
  const put = open('PUT', withDigest(location, digest), { 'Content-Length': String(sizeBytes) });
  await write(put, blocks);
  await answered(put, 201);
}

/** As Docker's classic store does: POST, a PATCH of unknown length, and a PUT that names the digest. */
async function pushByPatch(repositoryUrl: string, blocks: readonly Buffer[], digest: string): Promise<void> {
  const patch = open('PATCH', await startUpload(repositoryUrl), { 'Transfer-Encoding': 'chunked' });
  const framed = new Map(blocks.map((block) => [block, frame(block)]));
  // Bypasses Node's own framing, which would send one chunk per block.
  patch.flushHeaders();
  const [socket] = await once(patch, 'socket');
  await write(
    socket,
    blocks.map((block) => framed.get(block) ?? block),
  );
  const location = await answered(patch, 202);
  await answered(open('PUT', withDigest(location, digest), { 'Content-Length': '0' }), 201);
}

async function startUpload(repositoryUrl: string): Promise<URL> {
  return await answered(open('POST', new URL(`${repositoryUrl}/blobs/uploads/`), { 'Content-Length': '0' }), 202);
}

function open(method: string, url: URL, headers: Record<string, string>): ClientRequest {
  return request(url, { method, agent, headers: { 'Content-Type': 'application/octet-stream', ...headers } });
}

async function write(sink: NodeJS.WritableStream, blocks: readonly Buffer[]): Promise<void> {
  for (const block of blocks) if (!sink.write(block)) await once(sink, 'drain');
}

/** Ends the request and returns the `Location` of the answer. */
async function answered(outgoing: ClientRequest, status: number): Promise<URL> {
  const answer = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  outgoing.end();
  const [response] = await answer;
  const body = await text(response);
  if (response.statusCode !== status) {
    throw new Error(`${outgoing.method} ${outgoing.path}: ${response.statusCode}, not ${status}: ${body}`);
  }
  return new URL(response.headers.location ?? '', `http://${outgoing.getHeader('host')}`);
}

function withDigest(location: URL, digest: string): URL {
  location.searchParams.set('digest', digest);
  return location;
}

function frame(block: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let start = 0; start < block.length; start += GO_CHUNK_BYTES) {
    const piece = block.subarray(start, start + GO_CHUNK_BYTES);
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  }
  return Buffer.concat(pieces);
}

function digestOf(blocks: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const block of blocks) hash.update(block);
  return `sha256:${hash.digest('hex')}`;
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

// A server of S3 in memory. Unlike MinIO it honors conditions of deletes, as AWS does.
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';
import { compareByteOrder } from '../../lib/storage/byte-order.ts';
import { MIN_PART_BYTES } from '../../lib/storage/multipart-limits.ts';
import type { S3DriverOptions } from '../../lib/storage/s3-client.ts';
import { readAll } from '../../lib/streams/bytes.ts';

type Stored = { bytes: Buffer; etag: string; lastModified: Date };
type Part = { bytes: Buffer; sha256: string | undefined; crc32: string | undefined };
type Upload = { key: string; parts: Map<number, Part> };
type Request = { method: string; key: string; query: URLSearchParams; headers: Headers; body: Buffer };
type Answer = { status: number; headers?: Record<string, string>; body?: string | Buffer };

export type FakeS3 = {
  driverOptions: S3DriverOptions;
  /** Ids of multipart uploads that are neither complete nor aborted. */
  unfinishedUploads(): string[];
  close(): Promise<void>;
};

const BUCKET = 'bucket';
const PAGE = 1000;
/** https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html */
const SIGNATURE_MS = 15 * 60_000;

/** Refuses a request with this status and code; `undefined` to answer it. */
type Refuse = (request: {
  method: string;
  key: string;
  headers: Headers;
}) => [status: number, code: string] | undefined;

/** @param refuse what a server refuses that lacks something, or whose policy forbids it. Default: nothing */
export async function startFakeS3(refuse: Refuse = () => undefined): Promise<FakeS3> {
  const bucket = new FakeBucket(refuse);
  const server = createServer((incoming, outgoing) => {
    answer(bucket, incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    driverOptions: {
      bucket: BUCKET,
      keyPrefix: '',
      region: 'us-east-1',
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      forcePathStyle: true,
      credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
    },
    unfinishedUploads: () => [...bucket.uploads.keys()],
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(bucket: FakeBucket, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { method = '', url = '', headers } = incoming;
  const { pathname, searchParams: query } = new URL(url, 'http://s3');
  const key = decodeURIComponent(pathname).slice(`/${BUCKET}/`.length);
  const body = Buffer.from(await readAll(incoming));
  const request = { method, key, query, headers: new Headers(headers as Record<string, string>), body };
  const { status, headers: more = {}, body: text = '' } = bucket.answer(request);
  const type = status === 204 ? {} : { 'Content-Length': String(Buffer.byteLength(text)) };
  outgoing.writeHead(status, { ...type, 'x-amz-request-id': randomUUID(), ...more });
  outgoing.end(method === 'HEAD' ? undefined : text);
}

class FakeBucket {
  readonly objects = new Map<string, Stored>();
  readonly uploads = new Map<string, Upload>();
  readonly #refuse: Refuse;

  constructor(refuse: Refuse) {
    this.#refuse = refuse;
  }

  answer(request: Request): Answer {
    const refused = this.#refuse(request);
    const refusal = refused ? error(...refused) : refusalOf(request);
    if (refusal) return refusal;
    const { method, key, query } = request;
    if (key === '')
      return method === 'POST' ? this.#deleteMany(request) : method === 'HEAD' ? { status: 200 } : this.#list(query);
    if (query.has('uploads') || query.has('uploadId')) return this.#multipart(request);
    if (method === 'PUT') return this.#put(request);
    if (method === 'DELETE') return this.#delete(request);
    return this.#get(request);
  }

  #put({ key, headers, body }: Request): Answer {
    if (!this.#mayWrite(key, headers)) return error(412, 'PreconditionFailed');
    const source = this.#sourceOf(headers);
    if (source === 'none') return error(404, 'NoSuchKey');
    const stored = this.#store(key, source?.bytes ?? body);
    return source
      ? xml(`<CopyObjectResult><ETag>${stored.etag}</ETag></CopyObjectResult>`)
      : { status: 200, headers: { ETag: stored.etag } };
  }

  #mayWrite(key: string, headers: Headers): boolean {
    const now = this.objects.get(key);
    if (headers.get('if-none-match') === '*' && now) return false;
    const expected = headers.get('if-match');
    return expected === null || now?.etag === expected;
  }

  #sourceOf(headers: Headers): Stored | 'none' | undefined {
    const source = headers.get('x-amz-copy-source');
    if (source === null) return undefined;
    return this.objects.get(decodeURIComponent(source).replace(`${BUCKET}/`, '')) ?? 'none';
  }

  #store(key: string, bytes: Buffer, etag = `"${md5(bytes)}"`): Stored {
    const stored = { bytes, etag, lastModified: new Date() };
    this.objects.set(key, stored);
    return stored;
  }

  #get({ key, headers }: Request): Answer {
    const stored = this.objects.get(key);
    if (!stored) return error(404, 'NoSuchKey');
    const common = { ETag: stored.etag, 'Last-Modified': stored.lastModified.toUTCString() };
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.get('range') ?? '') ?? [];
    if (from === undefined) return { status: 200, headers: common, body: stored.bytes };
    const size = stored.bytes.length;
    if (Number(from) >= size) return error(416, 'InvalidRange');
    const body = stored.bytes.subarray(Number(from), Number(to) + 1);
    const range = `bytes ${from}-${Number(from) + body.length - 1}/${size}`;
    return { status: 206, headers: { ...common, 'Content-Range': range }, body };
  }

  #delete({ key, headers }: Request): Answer {
    const expected = headers.get('if-match');
    const now = this.objects.get(key);
    if (expected !== null && !now) return error(404, 'NoSuchKey');
    if (expected !== null && now?.etag !== expected) return error(412, 'PreconditionFailed');
    this.objects.delete(key);
    return { status: 204 };
  }

  #deleteMany({ body }: Request): Answer {
    const keys = [...body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) => unescapeXml(key));
    for (const key of keys) this.objects.delete(key);
    return xml(
      `<DeleteResult>${keys.map((key) => `<Deleted><Key>${escapeXml(key)}</Key></Deleted>`).join('')}</DeleteResult>`,
    );
  }

  #list(query: URLSearchParams): Answer {
    const prefix = query.get('prefix') ?? '';
    const delimiter = query.get('delimiter') ?? '';
    const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort(compareByteOrder);
    const names = new Set<string>();
    for (const key of keys) {
      const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      names.add(end < 0 ? key : key.slice(0, end + 1));
    }
    const left = [...names].filter((name) => after === '' || compareByteOrder(name, after) > 0);
    const page = left.slice(0, PAGE);
    const items = page.map((name) => {
      const stored = this.objects.get(name);
      if (delimiter !== '' && name.endsWith(delimiter))
        return `<CommonPrefixes><Prefix>${escapeXml(name)}</Prefix></CommonPrefixes>`;
      const { bytes, etag, lastModified } = stored ?? { bytes: Buffer.alloc(0), etag: '""', lastModified: new Date(0) };
      return `<Contents><Key>${escapeXml(name)}</Key><Size>${bytes.length}</Size><ETag>${escapeXml(etag)}</ETag><LastModified>${lastModified.toISOString()}</LastModified></Contents>`;
    });
    const isTruncated = left.length > page.length;
    const next = isTruncated ? `<NextContinuationToken>${escapeXml(page.at(-1) ?? '')}</NextContinuationToken>` : '';
    return xml(
      `<ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${next}${items.join('')}</ListBucketResult>`,
    );
  }

  #multipart(request: Request): Answer {
    const { method, key, query, headers } = request;
    if (query.has('uploads')) {
      const id = randomUUID();
      this.uploads.set(id, { key, parts: new Map() });
      return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
    }
    const id = query.get('uploadId') ?? '';
    const upload = this.uploads.get(id);
    if (upload?.key !== key) return error(404, 'NoSuchUpload');
    if (method === 'PUT') return this.#putPart(request, upload);
    if (method === 'GET') return xml(listOfParts(upload));
    if (method === 'POST' && !this.#mayWrite(key, headers)) return error(412, 'PreconditionFailed');
    const completed = method === 'POST' ? this.#complete(request, upload) : { status: 204 };
    if (completed.status < 300) this.uploads.delete(id);
    return completed;
  }

  #putPart({ query, headers, body }: Request, { parts }: Upload): Answer {
    const source = this.#sourceOf(headers);
    if (source === 'none') return error(404, 'NoSuchKey');
    const [, from = '0', to = ''] = /^bytes=(\d+)-(\d+)$/.exec(headers.get('x-amz-copy-source-range') ?? '') ?? [];
    const bytes = source ? source.bytes.subarray(Number(from), to === '' ? undefined : Number(to) + 1) : body;
    const [sha256, crc] = [headers.get('x-amz-checksum-sha256'), headers.get('x-amz-checksum-crc32')];
    parts.set(Number(query.get('partNumber')), { bytes, sha256: sha256 ?? undefined, crc32: crc ?? undefined });
    const etag = `"${md5(bytes)}"`;
    if (source) return xml(`<CopyPartResult><ETag>${etag}</ETag></CopyPartResult>`);
    return {
      status: 200,
      headers: {
        ETag: etag,
        ...(sha256 !== null && { 'x-amz-checksum-sha256': sha256 }),
        ...(crc !== null && { 'x-amz-checksum-crc32': crc }),
      },
    };
  }

  #complete({ key, body }: Request, { parts }: Upload): Answer {
    const named = [...body.toString().matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
      number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
      etag: unescapeXml(/<ETag>([^<]*)</.exec(part)?.[1] ?? ''),
      sha256: /<ChecksumSHA256>([^<]*)</.exec(part)?.[1],
    }));
    const chosen = named.map(({ number }) => parts.get(number));
    if (named.length === 0) return error(400, 'MalformedXML');
    if (named.some(({ number }, index) => number <= (named[index - 1]?.number ?? 0)))
      return error(400, 'InvalidPartOrder');
    const areRight = named.every(({ etag, sha256 }, index) => {
      const part = chosen[index];
      return part && `"${md5(part.bytes)}"` === etag && (sha256 === undefined || sha256 === part.sha256);
    });
    if (!areRight) return error(400, 'InvalidPart');
    if (chosen.slice(0, -1).some((part) => part && part.bytes.length < MIN_PART_BYTES))
      return error(400, 'EntityTooSmall');
    const bytes = chosen.map((part) => part?.bytes ?? Buffer.alloc(0));
    const digests = bytes.map((part) => createHash('md5').update(part).digest());
    const { etag } = this.#store(key, Buffer.concat(bytes), `"${md5(Buffer.concat(digests))}-${bytes.length}"`);
    const sums = chosen.map((part) => part?.sha256);
    const checksum = sums.every((sum) => sum !== undefined)
      ? `<ChecksumSHA256>${sha256Of(Buffer.concat(sums.map((sum) => Buffer.from(sum, 'base64'))))}-${sums.length}</ChecksumSHA256>`
      : '';
    return xml(
      `<CompleteMultipartUploadResult><ETag>${escapeXml(etag)}</ETag>${checksum}</CompleteMultipartUploadResult>`,
    );
  }
}

function listOfParts({ parts }: Upload): string {
  const items = [...parts]
    .sort(([a], [b]) => a - b)
    .map(([number, { bytes, sha256 }]) => {
      const checksum = sha256 === undefined ? '' : `<ChecksumSHA256>${sha256}</ChecksumSHA256>`;
      return `<Part><PartNumber>${number}</PartNumber><ETag>"${md5(bytes)}"</ETag><Size>${bytes.length}</Size>${checksum}</Part>`;
    });
  return `<ListPartsResult><IsTruncated>false</IsTruncated>${items.join('')}</ListPartsResult>`;
}

/** Why the request is refused before it is looked at: an old signature, or bytes that have changed on the way. */
function refusalOf({ headers, body }: Request): Answer | undefined {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(headers.get('x-amz-date') ?? '') ?? [];
  const signedMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Math.abs(Date.now() - signedMs) > SIGNATURE_MS) return error(403, 'RequestTimeTooSkewed');
  const sha256 = headers.get('x-amz-content-sha256') ?? '';
  const actual = createHash('sha256').update(body).digest('hex');
  if (/^[a-f0-9]{64}$/.test(sha256) && sha256 !== actual) return error(400, 'XAmzContentSHA256Mismatch');
  const crc = headers.get('x-amz-checksum-crc32');
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return crc !== null && crc !== sum.toString('base64') ? error(400, 'BadDigest') : undefined;
}

const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');
const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64');

const ESCAPED: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escapeXml = (text: string): string => text.replaceAll(/[&<>"]/g, (character) => ESCAPED[character] ?? character);
const unescapeXml = (text: string): string =>
  Object.entries(ESCAPED).reduceRight((plain, [character, escaped]) => plain.replaceAll(escaped, character), text);

function xml(content: string): Answer {
  return {
    status: 200,
    headers: { 'Content-Type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>${content}`,
  };
}

function error(status: number, code: string): Answer {
  return { ...xml(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`), status };
}

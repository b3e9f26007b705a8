import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import { AwsSigner, percentEncode, UNSIGNED_PAYLOAD } from '../../lib/storage/aws-signature.ts';

const EXAMPLE = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const HOST = 'examplebucket.s3.amazonaws.com';
const AT = { region: 'us-east-1', credentials: EXAMPLE, timeMs: Date.UTC(2013, 4, 24) };
const NOTHING = sha256('');

describe('a signature of AWS', () => {
  // https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
  for (const { title, signedHeaders, signature, payload = NOTHING, ...request } of [
    {
      title: 'a GET of a range',
      method: 'GET',
      path: '/test.txt',
      headers: { range: 'bytes=0-9' },
      signedHeaders: 'host;range;x-amz-content-sha256;x-amz-date',
      signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    },
    {
      title: 'a PUT',
      method: 'PUT',
      path: `/${percentEncode('test$file.text')}`,
      headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
      payload: sha256('Welcome to Amazon S3.'),
      signedHeaders: 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
      signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    },
    {
      title: 'a GET of a subresource',
      method: 'GET',
      path: '/',
      query: { lifecycle: '' },
      signedHeaders: 'host;x-amz-content-sha256;x-amz-date',
      signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    },
    {
      title: 'a GET with a query out of order',
      method: 'GET',
      path: '/',
      query: { prefix: 'J', 'max-keys': '2' },
      signedHeaders: 'host;x-amz-content-sha256;x-amz-date',
      signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    },
  ]) {
    it(`is that of the documentation for ${title}`, () => {
      const headers = new AwsSigner('s3').headersOf({ host: HOST, ...request }, payload, AT);
      assert.equal(
        headers.authorization,
        'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ' +
          `SignedHeaders=${signedHeaders}, Signature=${signature}`,
      );
    });
  }

  it('is that of the documentation in a URL', () => {
    // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    assert.equal(
      new AwsSigner('s3').presignedQuery({ method: 'GET', host: HOST, path: '/test.txt' }, 86_400, AT),
      'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
        '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
        '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    );
  });

  const text = fc.string({ unit: 'binary', maxLength: 20 });
  const signing = fc.record({
    region: fc.constantFrom('us-east-1', 'eu-central-1'),
    timeMs: fc.integer({ min: 0, max: Date.UTC(2099, 0) }),
    credentials: fc.record(
      { accessKeyId: fc.stringMatching(/^[A-Z0-9]{4,20}$/), secretAccessKey: text, sessionToken: fc.base64String() },
      { requiredKeys: ['accessKeyId', 'secretAccessKey'] },
    ),
  });
  const requests = fc.record({
    method: fc.constantFrom('GET', 'HEAD', 'PUT'),
    path: fc.array(text, { maxLength: 4 }).map((parts) => `/${parts.map(percentEncode).join('/')}`),
    // The signer of the SDK loses a parameter of this name.
    query: fc.dictionary(text, text, { maxKeys: 4 }).filter((query) => !Object.hasOwn(query, '__proto__')),
  });
  const smithy = ({ credentials, region }: { credentials: typeof EXAMPLE; region: string }) =>
    new SignatureV4({ service: 's3', region, credentials, sha256: Sha256, uriEscapePath: false, applyChecksum: true });
  const forSmithy = (request: { method: string; path: string; query: Record<string, string> }, headers = {}) => ({
    ...request,
    protocol: 'https:',
    hostname: HOST,
    headers: { host: HOST, ...headers },
    query: { ...request.query },
  });
  const shared = new AwsSigner('s3');

  it('is that of the SDK for any key, query, header, session token, time and region', async () => {
    const headers = fc.record({
      'content-type': fc.constantFrom('text/plain', ' application/json;  charset=utf-8 '),
      'if-none-match': fc.constantFrom('*', '"etag"', undefined),
    });
    await fc.assert(
      fc.asyncProperty(requests, headers, signing, text, async (request, more, at, body) => {
        const payloadHash = sha256(body);
        const ours = shared.headersOf({ host: HOST, headers: more, ...request }, payloadHash, at);
        const sent = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined));
        const unsigned = forSmithy(request, { ...sent, 'x-amz-content-sha256': payloadHash });
        const signed = await smithy(at).sign(unsigned, { signingDate: new Date(at.timeMs) });
        assert.deepEqual(ours, signed.headers);
      }),
    );
  });

  it('is that of the SDK in a URL', async () => {
    await fc.assert(
      fc.asyncProperty(requests, signing, fc.integer({ min: 1, max: 604_800 }), async (request, at, expiresIn) => {
        const query = new URLSearchParams(shared.presignedQuery({ host: HOST, ...request }, expiresIn, at));
        const unsigned = forSmithy(request, { 'x-amz-content-sha256': UNSIGNED_PAYLOAD });
        const left = new Set(['x-amz-content-sha256']);
        const options = {
          unhoistableHeaders: left,
          unsignableHeaders: left,
          signingDate: new Date(at.timeMs),
          expiresIn,
        };
        const signed = await smithy(at).presign(unsigned, options);
        assert.equal(query.get('X-Amz-Signature'), signed.query?.['X-Amz-Signature']);
      }),
    );
  });
});

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Hashes for the signer of the SDK. */
class Sha256 {
  readonly #hash: ReturnType<typeof createHash>;

  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    const bytes = typeof key === 'string' || key === undefined ? key : Buffer.from(key as Uint8Array);
    this.#hash = bytes === undefined ? createHash('sha256') : (createHmac('sha256', bytes) as never);
  }

  update(data: string | Uint8Array): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {}
}

// Signature version 4 of AWS, in headers or in the query of a URL.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';
import type { Credentials } from './aws-environment.ts';

const ALGORITHM = 'AWS4-HMAC-SHA256';

/** In place of the hash of the body: the signature does not depend on it. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

export type Signing = {
  region: string;
  credentials: Credentials;
  /** The time by the clock of the server, in ms since 1970. The request is valid from 15 minutes before to 15 minutes after it. */
  timeMs: number;
};

export type UnsignedRequest = {
  method: string;
  /** With the port, unless it is that of the scheme. */
  host: string;
  /** Percent-encoded as `percentEncode` does it. Services other than S3 expect another form of a path with such characters. */
  path: string;
  query?: Readonly<Record<string, string>>;
  /** Names in lower case. Those that are undefined are left out. */
  headers?: Readonly<Record<string, string | undefined>>;
};

type SigningKey = Pick<Signing, 'region'> & { secret: string; day: string; key: KeyObject };

/** Signs requests to one service. It keeps the key of the last request, which is the same for all requests of a day to a region. */
export class AwsSigner {
  readonly #service: string;
  #key: SigningKey | undefined;

  /** @param service as the signature names it: `s3` */
  constructor(service: string) {
    this.#service = service;
  }

  /**
   * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
   * @param payloadHash the SHA-256 of the body in hex, or `UNSIGNED_PAYLOAD`
   * @returns all headers of the request, with the host
   */
  headersOf(request: UnsignedRequest, payloadHash: string, signing: Signing): Record<string, string> {
    const time = amzTime(signing.timeMs);
    const { sessionToken } = signing.credentials;
    const headers: Record<string, string> = { host: request.host };
    for (const [name, value] of Object.entries(request.headers ?? {})) if (value !== undefined) headers[name] = value;
    headers['x-amz-content-sha256'] = payloadHash;
    headers['x-amz-date'] = time;
    if (sessionToken) headers['x-amz-security-token'] = sessionToken;
    const names = Object.keys(headers).sort();
    const lines = names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ {2,}/g, ' ')}\n`);
    const signedHeaders = names.join(';');
    const canonical = `${request.method}\n${request.path}\n${queryStringOf(request.query)}\n${lines.join('')}\n${signedHeaders}\n${payloadHash}`;
    const credential = `${signing.credentials.accessKeyId}/${this.#scope(time, signing)}`;
    const signature = this.#sign(canonical, time, signing);
    headers.authorization = `${ALGORITHM} Credential=${credential}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
    return headers;
  }

  /**
   * The query of a URL by which any client may send the request until it expires. The signature covers the host and no other header.
   * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
   */
  presignedQuery({ method, host, path, query }: UnsignedRequest, expiresSeconds: number, signing: Signing): string {
    const time = amzTime(signing.timeMs);
    const { accessKeyId, sessionToken } = signing.credentials;
    const signed = queryStringOf({
      ...query,
      'X-Amz-Algorithm': ALGORITHM,
      'X-Amz-Credential': `${accessKeyId}/${this.#scope(time, signing)}`,
      'X-Amz-Date': time,
      'X-Amz-Expires': String(expiresSeconds),
      'X-Amz-SignedHeaders': 'host',
      ...(sessionToken && { 'X-Amz-Security-Token': sessionToken }),
    });
    const canonical = `${method}\n${path}\n${signed}\nhost:${host}\n\nhost\n${UNSIGNED_PAYLOAD}`;
    return `${signed}&X-Amz-Signature=${this.#sign(canonical, time, signing)}`;
  }

  #sign(canonical: string, time: string, signing: Signing): string {
    const toSign = `${ALGORITHM}\n${time}\n${this.#scope(time, signing)}\n${hash('sha256', canonical)}`;
    return createHmac('sha256', this.#keyOf(time.slice(0, 8), signing))
      .update(toSign)
      .digest('hex');
  }

  #scope(time: string, { region }: Signing): string {
    return `${time.slice(0, 8)}/${region}/${this.#service}/aws4_request`;
  }

  #keyOf(day: string, { region, credentials: { secretAccessKey: secret } }: Signing): KeyObject {
    const known = this.#key;
    if (known?.secret === secret && known.day === day && known.region === region) return known.key;
    const bytes = [day, region, this.#service, 'aws4_request'].reduce<Buffer | string>(
      (key, text) => createHmac('sha256', key).update(text).digest(),
      `AWS4${secret}`,
    );
    // As an object: Node makes one of bytes at each use, which takes seven times as long as to sign.
    const key = createSecretKey(Buffer.from(bytes));
    this.#key = { secret, day, region, key };
    return key;
  }
}

/** Encoded and in order, as it is signed. '' without parameters. */
export function queryStringOf(query: Readonly<Record<string, string>> = {}): string {
  const pairs = Object.entries(query).map(([name, value]) => [percentEncode(name), percentEncode(value)] as const);
  pairs.sort(([a], [b]) => (a < b ? -1 : 1));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

/**
 * Percent-encodes all but the unreserved characters of RFC 3986, as the signature requires.
 * @throws URIError for a half of a surrogate pair
 */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** `20261124T091500Z` */
function amzTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

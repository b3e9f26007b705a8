import { createHash } from 'node:crypto';

/** The public name of registries in tests. */
const PUBLIC_HOST = 'registry.example.com';

/** A v2 client that sends one request at a time and returns each answer to the test. */
export class V2Client {
  readonly #registry: URL;
  readonly #headers: Record<string, string>;

  /** @param headers headers of every request, such as a login */
  constructor(registry: URL, headers: Record<string, string> = {}) {
    this.#registry = registry;
    this.#headers = headers;
  }

  async send(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(this.#resolve(path), {
      method,
      redirect: 'manual',
      ...init,
      headers: { ...this.#headers, ...Object.fromEntries(new Headers(init.headers)) },
      ...(init.body instanceof ReadableStream && { duplex: 'half' }),
    });
  }

  /** Resolves the public name to the server of the test. */
  #resolve(path: string): URL {
    const url = new URL(path, this.#registry);
    return url.hostname === PUBLIC_HOST ? new URL(`${url.pathname}${url.search}`, this.#registry) : url;
  }

  /** Starts an upload. @returns its `Location` */
  async start(repository: string): Promise<string> {
    return locationOf(await this.send('POST', `/v2/${repository}/blobs/uploads/`));
  }

  /** POST and PUT. */
  async pushBlob(repository: string, bytes: Uint8Array): Promise<{ digest: string; response: Response }> {
    const digest = digestOf(bytes);
    const response = await this.send('PUT', withDigest(await this.start(repository), digest), {
      body: new Uint8Array(bytes),
    });
    return { digest, response };
  }

  async pushManifest(repository: string, reference: string, manifest: object): Promise<Response> {
    // As bytes: for a string, fetch sends `Content-Type: text/plain`.
    const body = Buffer.from(JSON.stringify(manifest));
    const { mediaType } = manifest as { mediaType?: string };
    return await this.send('PUT', `/v2/${repository}/manifests/${reference}`, {
      body,
      ...(mediaType && { headers: { 'Content-Type': mediaType } }),
    });
  }
}

export function locationOf(response: Response): string {
  const location = response.headers.get('Location');
  if (!location) throw new Error(`${response.status} without a Location`);
  return location;
}

export function withDigest(location: string, digest: string): string {
  return `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`;
}

export function digestOf(bytes: Uint8Array | string, algorithm: 'sha256' | 'sha512' = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** A body without `Content-Length`. */
export function chunked(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new Blob([new Uint8Array(bytes)]).stream();
}

/** The codes of an error body. */
export async function codesOf(response: Response): Promise<string[]> {
  const { errors } = (await response.json()) as { errors: { code: string }[] };
  return errors.map(({ code }) => code);
}

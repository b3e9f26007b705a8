// A Docker of the v1 days, as far as the wire shows it: the calls of docker 1.5 in their order, and what it refuses.
import { createHash } from 'node:crypto';

const USER_AGENT = 'docker/1.5.0 go/go1.4.1 git-commit/a8a31ef kernel/3.16.0-4-amd64 os/linux arch/amd64';

/** One image of a chain: its JSON as sent, and its layer. */
export type V1Image = { id: string; json: Uint8Array; layer: Uint8Array };

export type PulledImage = V1Image & { layerSizeBytes: number; checksums: string[] };

export class V1Client {
  readonly #registry: URL;
  readonly #basic: string;

  /** @param basic `Authorization` of a login; anonymous by default */
  constructor(registry: URL, basic = 'Basic Og==') {
    this.#registry = registry;
    this.#basic = basic;
  }

  /** `docker login` where the account is made up on the spot. */
  async login(username: string, password: string): Promise<void> {
    const body = JSON.stringify({ username, password, auth: '', email: 'e@example.com' });
    await this.#expect([201], 'POST', '/v1/users/', { body, headers: { 'User-Agent': 'Go 1.1 package http' } });
  }

  /**
   * `docker push` of one repository.
   * @param images base first
   * @param tags by name, the id that each names; a tag follows its image directly
   */
  async push(name: string, images: readonly V1Image[], tags: Readonly<Record<string, string>>): Promise<void> {
    const tagsOf = (id: string) => Object.keys(tags).filter((tag) => tags[tag] === id);
    const announced = images.flatMap(({ id }) => {
      const own = tagsOf(id);
      return own.length > 0 ? own.map((Tag) => ({ id, Tag })) : [{ id }];
    });
    const index = await this.#expect([200, 201], 'PUT', `/v1/repositories/${name}/`, {
      body: JSON.stringify(announced),
      headers: { 'X-Docker-Token': 'true', Authorization: this.#basic },
    });
    for (const header of ['X-Docker-Endpoints', 'X-Docker-Token']) {
      if (!index.headers.get(header)) throw new Error(`the index sent no ${header}`);
    }
    const endpoint = this.#endpointOf(index);
    const token = `Token ${index.headers.get('X-Docker-Token')}`;
    for (const image of images) {
      if (!(await this.#has(endpoint, image.id, token))) await this.#pushImage(endpoint, image, token);
      for (const tag of tagsOf(image.id)) {
        await this.#expect([200, 201], 'PUT', new URL(`/v1/repositories/${name}/tags/${tag}`, endpoint), {
          body: JSON.stringify(image.id),
          headers: { Authorization: token },
        });
      }
    }
    // Docker 0.8 and newer forget the checksums, and so all entries.
    await this.#expect([204], 'PUT', `/v1/repositories/${name}/images`, {
      body: '[]',
      headers: { 'X-Docker-Token': 'true', Authorization: this.#basic },
    });
  }

  /** Where the images are: the first of those that the index names. */
  #endpointOf(index: Response): URL {
    const [endpoint = ''] = index.headers.get('X-Docker-Endpoints')?.split(',') ?? [];
    return new URL(`${this.#registry.protocol}//${endpoint.trim()}`);
  }

  async #has(endpoint: URL, id: string, token: string): Promise<boolean> {
    const response = await this.#send('GET', new URL(`/v1/images/${id}/json`, endpoint), {
      headers: { Authorization: token },
    });
    await response.arrayBuffer();
    return response.status === 200;
  }

  async #pushImage(endpoint: URL, { id, json, layer }: V1Image, token: string): Promise<void> {
    const headers = { Authorization: token };
    const begun = await this.#send('PUT', new URL(`/v1/images/${id}/json`, endpoint), { body: json, headers });
    if (begun.status !== 200) {
      const text = await begun.text();
      // Docker compares the message, not the status. https://github.com/moby/moby/blob/v1.9.1/registry/session.go#L509
      if ((JSON.parse(text) as { error?: string }).error === 'Image already exists') return;
      throw new Error(`HTTP code ${begun.status} while uploading metadata: ${text}`);
    }
    await this.#expect([200], 'PUT', new URL(`/v1/images/${id}/layer`, endpoint), {
      body: chunked(layer),
      headers: { ...headers, 'Content-Type': 'application/octet-stream' },
    });
    await this.#expect([200], 'PUT', new URL(`/v1/images/${id}/checksum`, endpoint), {
      headers: {
        ...headers,
        'X-Docker-Checksum': `tarsum+sha256:${'0'.repeat(64)}`,
        'X-Docker-Checksum-Payload': payloadSum(json, layer),
      },
    });
  }

  /** `docker pull` of one tag: the chain, base first. */
  async pull(name: string, tag: string): Promise<PulledImage[]> {
    const index = await this.#expect([200], 'GET', `/v1/repositories/${name}/images`, {
      headers: { 'X-Docker-Token': 'true', Authorization: this.#basic },
    });
    if (!Array.isArray(await index.json())) throw new Error('the index is not an array');
    const headers = { Authorization: `Token ${index.headers.get('X-Docker-Token') ?? ''}` };
    const endpoint = this.#endpointOf(index);
    const asked = name.includes('/') ? name : `library/${name}`;
    const tags = (await this.#json('GET', new URL(`/v1/repositories/${asked}/tags`, endpoint), headers)) as Record<
      string,
      string
    >;
    const id = tags[tag];
    if (id === undefined) throw new Error(`tag ${tag} not found in repository ${name}`);
    const ancestry = (await this.#json('GET', new URL(`/v1/images/${id}/ancestry`, endpoint), headers)) as string[];
    const images: PulledImage[] = [];
    for (const ancestor of ancestry.toReversed()) images.push(await this.#pullImage(endpoint, ancestor, headers));
    return images;
  }

  async #pullImage(endpoint: URL, id: string, headers: Record<string, string>): Promise<PulledImage> {
    const json = await this.#expect([200], 'GET', new URL(`/v1/images/${id}/json`, endpoint), { headers });
    const layerSizeBytes = Number(json.headers.get('X-Docker-Size'));
    const checksums = json.headers.get('X-Docker-Checksum-Payload')?.split(', ') ?? [];
    const layer = await this.#expect([200], 'GET', new URL(`/v1/images/${id}/layer`, endpoint), { headers });
    return {
      id,
      json: await json.bytes(),
      layer: await layer.bytes(),
      layerSizeBytes,
      checksums,
    };
  }

  async #json(method: string, path: string | URL, headers: Record<string, string>): Promise<unknown> {
    return await (await this.#expect([200], method, path, { headers })).json();
  }

  async #expect(statuses: number[], method: string, path: string | URL, init: RequestInit): Promise<Response> {
    const response = await this.#send(method, path, init);
    if (statuses.includes(response.status)) return response;
    throw new Error(`HTTP code ${response.status} of ${method} ${path}: ${await response.text()}`);
  }

  async #send(method: string, path: string | URL, { headers, ...init }: RequestInit): Promise<Response> {
    return await fetch(new URL(path, this.#registry), {
      method,
      headers: {
        'User-Agent': USER_AGENT,
        ...(headers as Record<string, string>),
      },
      ...init,
      ...(init.body instanceof ReadableStream && { duplex: 'half' }),
    });
  }
}

/** SHA-256 over JSON, newline and layer, as docker sends it. */
export function payloadSum(json: Uint8Array, layer: Uint8Array): string {
  return `sha256:${createHash('sha256').update(json).update('\n').update(layer).digest('hex')}`;
}

/** Docker does not know the length of a layer before it has sent it. */
function chunked(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}

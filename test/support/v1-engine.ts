// Docker engines of the v1 days, as far as the wire shows them: what each version sends in which order when it pushes, and
// what it makes of the answers. Read from their sources; engines of that age cannot be run any more.
//
// https://github.com/moby/moby/blob/v0.11.1/server/server.go and registry/registry.go
// https://github.com/moby/moby/blob/v1.5.0/graph/push.go and registry/session.go
// https://github.com/moby/moby/blob/v1.9.1/graph/push_v1.go and registry/session.go
// https://github.com/moby/moby/blob/v1.12.6/distribution/push_v1.go and registry/session.go
import { gzipSync } from 'node:zlib';
import { tar } from './tar.ts';
import { payloadSum, type V1Image } from './v1-client.ts';

export const ENGINE_VERSIONS = ['0.11.1', '1.5.0', '1.9.1', '1.12.6'] as const;
export type EngineVersion = (typeof ENGINE_VERSIONS)[number];

type Habits = {
  userAgent: string;
  /** Asks for all images first, five at a time; else for each before it is pushed. */
  looksAhead: boolean;
  /** `Basic Og==` without a login, and the token of the first answer for the whole push; else nothing, and that of the last. */
  isOfFirstAnswer: boolean;
  layerType?: string;
};

const HABITS: Record<EngineVersion, Habits> = {
  '0.11.1': {
    userAgent: 'docker/0.11.1 go/go1.2.1 git-commit/fb99f99 kernel/3.13.0-24-generic os/linux arch/amd64',
    looksAhead: false,
    isOfFirstAnswer: true,
  },
  '1.5.0': {
    userAgent: 'docker/1.5.0 go/go1.4.1 git-commit/a8a31ef kernel/3.16.0-4-amd64 os/linux arch/amd64',
    looksAhead: true,
    isOfFirstAnswer: true,
    layerType: 'application/octet-stream',
  },
  '1.9.1': {
    userAgent: 'docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/4.2.0-1-amd64 os/linux arch/amd64',
    looksAhead: true,
    isOfFirstAnswer: false,
    layerType: 'application/octet-stream',
  },
  '1.12.6': {
    userAgent:
      'docker/1.12.6 go/go1.6.4 git-commit/78d1802 kernel/4.4.0-1 os/linux arch/amd64 UpstreamClient(Docker-Client/1.12.6 \\(linux\\))',
    looksAhead: true,
    isOfFirstAnswer: false,
    layerType: 'application/octet-stream',
  },
};

/** The same image as each version writes it: its fields in other orders, below the top in 1.12 no more than ids. */
export function imageBy(
  version: EngineVersion,
  id: string,
  { parent, isTop }: { parent?: string; isTop: boolean },
): V1Image {
  const fields: [string, unknown][] = [
    ['id', id],
    ['parent', parent],
    ['created', '2014-05-15T02:37:51.21802123Z'],
    ['docker_version', '0.10.0'],
    ['config', { Cmd: ['/bin/bash'] }],
    ['architecture', 'amd64'],
    ['os', 'linux'],
    ['Size', 10],
  ];
  const own =
    version === '1.12.6' && !isTop
      ? fields.slice(0, 2)
      : version === '1.9.1'
        ? fields.toReversed()
        : version === '1.5.0'
          ? fields.filter(([name]) => name !== 'Size')
          : fields;
  const level = ENGINE_VERSIONS.indexOf(version) + 1;
  const content = Buffer.from(`content of ${id}\n`.repeat(100));
  return {
    id,
    json: Buffer.from(JSON.stringify(Object.fromEntries(own.filter(([, value]) => value !== undefined)))),
    layer: gzipSync(tar([{ path: 'file', content }]), { level }),
  };
}

export type PushStep = 'announce' | 'look' | 'json' | 'layer' | 'checksum' | 'tag' | 'close';

export class V1Engine {
  readonly version: EngineVersion;
  readonly #habits: Habits;
  readonly #registry: URL;
  readonly #login: string | undefined;
  #token = '';

  /** @param login as `Authorization` */
  constructor(version: EngineVersion, registry: URL, login?: string) {
    this.version = version;
    this.#habits = HABITS[version];
    this.#registry = registry;
    this.#login = login;
  }

  /**
   * `docker push`, over plain HTTP.
   * @param images base first
   * @param tags by name, the id that each names
   * @param before is waited for before each step
   * @throws Error with docker's words
   */
  async push(
    name: string,
    images: readonly V1Image[],
    tags: Readonly<Record<string, string>>,
    before: (step: PushStep) => Promise<void> = async () => undefined,
  ): Promise<void> {
    const { looksAhead } = this.#habits;
    const tagsOf = (id: string) => Object.keys(tags).filter((tag) => tags[tag] === id);
    const announced = images.flatMap(({ id }) => {
      const own = tagsOf(id);
      return own.length > 0 ? own.map((Tag) => ({ id, Tag })) : [{ id }];
    });
    await before('announce');
    this.#token = '';
    const index = await this.#index('PUT', `/v1/repositories/${name}/`, JSON.stringify(announced));
    if (![200, 201].includes(index.status)) throw new Error(`Status ${index.status} trying to push repository ${name}`);
    if (!index.endpoints) throw new Error("Index response didn't contain any endpoints");

    const isThere = new Map<string, boolean>();
    if (looksAhead) {
      await before('look');
      for (let at = 0; at < images.length; at += 5) {
        const group = images.slice(at, at + 5).map(async ({ id }) => isThere.set(id, await this.#has(id)));
        await Promise.all(group);
      }
    }
    for (const image of images) {
      if (!looksAhead) {
        await before('look');
        isThere.set(image.id, await this.#has(image.id));
      }
      if (!isThere.get(image.id)) await this.#pushImage(image, before);
      for (const tag of tagsOf(image.id)) {
        await before('tag');
        const headers = { 'Content-Type': 'application/json' };
        const path = `/v1/repositories/${name}/tags/${tag}`;
        const { status } = await this.#send('PUT', path, { headers, body: JSON.stringify(image.id) });
        if (status !== 200 && status !== 201)
          throw new Error(`Internal server error: ${status} trying to push tag ${tag} on ${name}`);
      }
    }
    await before('close');
    const { status, text } = await this.#index('PUT', `/v1/repositories/${name}/images`, '[]');
    if (status !== 204) throw new Error(`Status ${status} trying to push checksums ${name}: ${text}`);
  }

  async #has(id: string): Promise<boolean> {
    return (await this.#send('GET', `/v1/images/${id}/json`)).status === 200;
  }

  async #pushImage({ id, json, layer }: V1Image, before: (step: PushStep) => Promise<void>): Promise<void> {
    await before('json');
    const asJson = { 'Content-Type': 'application/json' };
    const begun = await this.#send('PUT', `/v1/images/${id}/json`, { headers: asJson, body: json });
    if (begun.status === 401) throw new Error('HTTP code 401, Docker will not send auth headers over HTTP.');
    if (begun.status !== 200) {
      if (errorOf(begun.text) === 'Image already exists') return;
      throw new Error(`HTTP code ${begun.status} while uploading metadata: ${begun.text}`);
    }
    await before('layer');
    const { layerType } = this.#habits;
    const headers = layerType === undefined ? {} : { 'Content-Type': layerType };
    const sent = await this.#send('PUT', `/v1/images/${id}/layer`, { headers, body: chunked(layer) });
    if (sent.status !== 200) throw new Error(`Received HTTP code ${sent.status} while uploading layer: ${sent.text}`);
    await before('checksum');
    const sums = {
      'X-Docker-Checksum': `tarsum+sha256:${'0'.repeat(64)}`,
      'X-Docker-Checksum-Payload': payloadSum(json, layer),
    };
    const ended = await this.#send('PUT', `/v1/images/${id}/checksum`, { headers: sums });
    if (ended.status !== 200) {
      // Docker stops here also with these words.
      throw new Error(
        errorOf(ended.text) === 'Image already exists'
          ? 'Image already exists'
          : `HTTP code ${ended.status} while uploading metadata: ${ended.text}`,
      );
    }
  }

  /** What goes to the index carries the login, if there is one. */
  async #index(method: string, path: string, body: string): Promise<EngineAnswer> {
    const login = this.#login ?? (this.#habits.isOfFirstAnswer ? 'Basic Og==' : undefined);
    const headers = {
      'Content-Type': 'application/json',
      'X-Docker-Token': 'true',
      ...(login !== undefined && { Authorization: login }),
    };
    return await this.#send(method, path, { headers, body });
  }

  async #send(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: string | Uint8Array | ReadableStream } = {},
  ): Promise<EngineAnswer> {
    const { userAgent, isOfFirstAnswer } = this.#habits;
    const token = this.#token === '' ? (isOfFirstAnswer ? 'Token' : undefined) : `Token ${this.#token}`;
    const response = await fetch(new URL(path, this.#registry), {
      method,
      headers: { 'User-Agent': userAgent, ...(token !== undefined && { Authorization: token }), ...headers },
      ...(body !== undefined && {
        body: typeof body === 'string' || body instanceof ReadableStream ? body : Buffer.from(body),
      }),
      ...(body instanceof ReadableStream && { duplex: 'half' }),
    });
    const text = await response.text();
    const given = response.headers.get('X-Docker-Token');
    if (given && (this.#token === '' || !isOfFirstAnswer)) this.#token = given;
    return { status: response.status, text, endpoints: response.headers.get('X-Docker-Endpoints') };
  }
}

type EngineAnswer = { status: number; text: string; endpoints: string | null };

/** Docker decodes a flat object of strings, and shows the decoder's words if it is none. */
function errorOf(text: string): string | undefined {
  const value = JSON.parse(text) as Record<string, unknown>;
  if (Object.values(value).some((one) => typeof one !== 'string')) throw new Error('json: cannot unmarshal object');
  return value.error as string | undefined;
}

function chunked(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}

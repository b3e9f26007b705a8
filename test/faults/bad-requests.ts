// Requests that no client should send. Most of them are nearly right: what is plain nonsense gets no further than the router.
import fc, { type Arbitrary } from 'fast-check';
import { anyBytes, hex, inHeader, inUrl, json, number, perhaps, text } from './hostile-text.ts';
import { encodeRequest, type Framing, type RawRequest } from './raw-connection.ts';

/** What is there for requests to meet. */
export type Target = {
  /** A repository that they may do anything to. */
  repository: string;
  /** One that they must not change, though some try to climb into it. */
  bystander: string;
  blobs: readonly { digest: string; size: number }[];
  manifests: readonly string[];
  images: readonly string[];
  tags: readonly string[];
  /** Where uploads go on. */
  sessions: readonly string[];
};

/** Of an object some fields are right, some wrong, and some are missing. */
function fields(right: Record<string, Arbitrary<unknown>>): Arbitrary<object> {
  const perhapsRight = Object.entries(right).map(
    ([name, value]) =>
      [
        name,
        fc.oneof({ weight: 6, arbitrary: value }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) }),
      ] as const,
  );
  return fc.oneof(
    { weight: 3, arbitrary: fc.record(Object.fromEntries(perhapsRight)) },
    { weight: 1, arbitrary: fc.record(Object.fromEntries(perhapsRight), { requiredKeys: [] }) },
  );
}

const asJson = (value: Arbitrary<unknown>): Arbitrary<Uint8Array> =>
  value.map((one) => Buffer.from(JSON.stringify(one) ?? ''));

/** What a request of one kind looks like. */
type Shape = {
  methods: readonly string[];
  path: Arbitrary<string>;
  query?: Arbitrary<string>;
  body?: Arbitrary<Uint8Array>;
  headers?: Arbitrary<[string, string][]>;
};

const ANY_METHOD = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH'];

/** Damage to the head of a request. */
type Damage = { kind: 'cut' | 'delete' | 'insert' | 'replace'; at: number; bytes: Uint8Array };

export type BadRequest = RawRequest & {
  isHead: boolean;
  /** False if a server may wait for more. */
  isWhole: boolean;
  damage: Damage | undefined;
};

export function badRequests(target: Target): Arbitrary<BadRequest> {
  const damage: Arbitrary<Damage> = fc.record({
    kind: fc.constantFrom('cut', 'delete', 'insert', 'replace'),
    at: fc.nat(400),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 4 }),
  });
  const request = fc.oneof(...shapesOf(target).map((shape) => requestOf(shape, target)));
  return fc
    .tuple(request, fc.oneof({ weight: 20, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: damage }))
    .map(([one, damaged]) => ({
      ...one,
      isHead: one.method === 'HEAD',
      isWhole: !damaged && ['none', 'length', 'chunked'].includes(one.framing),
      damage: damaged,
    }));
}

export function encodeBadRequest({ damage, ...request }: BadRequest): Buffer {
  const bytes = encodeRequest(request);
  if (!damage) return bytes;
  const at = Math.min(damage.at, bytes.length);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  const { length } = damage.bytes;
  const rest = {
    cut: [],
    delete: [after.subarray(length)],
    insert: [damage.bytes, after],
    replace: [damage.bytes, after.subarray(length)],
  };
  return Buffer.concat([before, ...rest[damage.kind]]);
}

/** What the request line names, damaged or not. */
export function targetOf(request: Buffer): string {
  return /^\S* *(\S*)/.exec(request.toString('latin1'))?.[1] ?? '';
}

function requestOf({ methods, path, query, body = anyBytes, headers }: Shape, target: Target): Arbitrary<RawRequest> {
  const method = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...methods) },
    { weight: 1, arbitrary: fc.constantFrom(...ANY_METHOD) },
  );
  const framing: Arbitrary<Framing> = fc.oneof(
    { weight: 12, arbitrary: fc.constant<Framing>('length') },
    { weight: 4, arbitrary: fc.constant<Framing>('chunked') },
    { weight: 1, arbitrary: fc.constantFrom<Framing>('too short', 'broken chunks', 'length and chunked') },
  );
  return fc
    .record({
      method,
      path,
      query: query ? fc.oneof(query, anyQuery(target)) : fc.oneof(fc.constant(''), anyQuery(target)),
      common: fc.array(anyHeader(target), { maxLength: 3 }),
      own: headers ?? fc.constant([]),
      body: fc.oneof({ weight: 7, arbitrary: body }, { weight: 1, arbitrary: anyBytes }),
      framing,
    })
    .map(({ method, path, query, common, own, body, framing }): RawRequest => {
      const full = `${path}${query && `?${query}`}`.slice(0, 16_000);
      const isRead = method !== 'PUT' && method !== 'POST' && method !== 'PATCH' && method !== 'DELETE';
      const hasBody = !isRead && method !== 'DELETE';
      return {
        // A request that names the bystander's repository itself may read it.
        method: !isRead && names(full, target.bystander) ? 'GET' : method,
        target: full,
        headers: [...own, ...common],
        body: hasBody ? body : new Uint8Array(),
        framing: hasBody ? framing : 'none',
      };
    });
}

/** Whether a URL names this repository, once it is read as the standard for URLs has it. */
function names(path: string, repository: string): boolean {
  const { pathname } = new URL(`http://registry.test${path.startsWith('/') ? '' : '/'}${path}`);
  return new RegExp(`^/(?:v2|v1/repositories)/(?:library/)?${repository}(?:/|$)`).test(decodeLoosely(pathname));
}

/** What can be decoded is. */
export function decodeLoosely(path: string): string {
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (sequence) => {
    try {
      return decodeURIComponent(sequence);
    } catch {
      return sequence;
    }
  });
}

function anyQuery({ blobs, sessions, repository }: Target): Arbitrary<string> {
  const known = fc.constantFrom(
    'n',
    'last',
    'mount',
    'from',
    'digest',
    '_state',
    'tag',
    'digest-algorithm',
    'artifactType',
    'q',
    'page',
    '__proto__',
  );
  const value = fc.oneof(
    text,
    number,
    fc.constant(repository),
    perhaps(fc.constantFrom(...blobs.map(({ digest }) => digest))),
    perhaps(fc.constantFrom(...sessions.map((session) => session.replace(/^.*_state=/, '')))),
  );
  const pair = fc
    .tuple(fc.oneof(known, known, text), inUrl(value))
    .map(([name, content]) => `${encodeURIComponent(name.toWellFormed())}=${content}`);
  return fc.oneof(
    fc.array(pair, { maxLength: 4 }).map((pairs) => pairs.join('&')),
    fc.constant(Array.from({ length: 150 }, (_, index) => `tag=t${index}`).join('&')),
    inUrl(text),
  );
}

function anyHeader({ blobs, manifests }: Target): Arbitrary<[string, string]> {
  const range = fc
    .tuple(
      fc.constantFrom('bytes=', 'bytes ', 'items=', '', 'bytes=bytes='),
      number,
      number,
      fc.constantFrom('', ',0-1', '/9', '-', '/*'),
    )
    .map(([unit, from, to, rest]) => `${unit}${from}-${to}${rest}`);
  const values: Record<string, Arbitrary<string>> = {
    Range: range,
    'Content-Range': range,
    'Content-Type': fc.oneof(
      text,
      fc.constantFrom('application/vnd.oci.image.index.v1+json', 'text/html; charset=utf-7', ';'),
    ),
    Accept: text,
    'Accept-Encoding': fc.constantFrom('gzip', 'br;q=1.0', '*;q=0', 'identity;q=0'),
    'Content-Encoding': fc.constantFrom('gzip', 'br', 'deflate', 'x'),
    Authorization: fc.oneof(
      text,
      fc.constantFrom(
        'Basic Og==',
        'Basic %%%',
        'Token',
        'Token signature=,repository="../..",access=write',
        'Bearer ..',
      ),
    ),
    'If-None-Match': fc.constantFrom(
      '*',
      ...blobs.map(({ digest }) => `"${digest}"`),
      ...manifests.map((digest) => `W/"${digest}"`),
      '"',
      ','.repeat(5000),
    ),
    'If-Modified-Since': fc.oneof(text, fc.constant('Thu, 01 Jan 1970 00:00:00 GMT')),
    'User-Agent': fc.oneof(text, fc.constant('docker/1.5.0 go/go1.4.1 kernel/x os/linux arch/amd64 '.repeat(50))),
    'X-Docker-Token': text,
    'X-Docker-Checksum': fc.oneof(
      text,
      fc.constantFrom('sha256:0', 'tarsum+sha256:0', 'tarsum.v1+sha256:', 'tarsum.dev+sha256:00', ':', 'a:b'),
    ),
    'X-Docker-Checksum-Payload': text,
    'X-Forwarded-Proto': fc.constantFrom('https', 'javascript', 'https,http', ''),
    'X-Forwarded-Host': text,
    'X-Request-Id': text,
    'X-Signature': text,
    'X-HTTP-Method-Override': fc.constantFrom('DELETE', 'PUT'),
    Host: fc.oneof(fc.constantFrom('', 'a/b', 'a@b', 'a:99999', '[::1', 'é', 'x y', '..'), text),
    Cookie: text,
    Connection: fc.constantFrom('close', 'keep-alive', 'upgrade', 'x'),
    Upgrade: fc.constantFrom('websocket', 'h2c'),
    Expect: fc.constantFrom('100-continue', 'nothing'),
    TE: fc.constantFrom('trailers', 'chunked'),
    Trailer: text,
    'X-Large': fc.integer({ min: 1, max: 40_000 }).map((length) => 'x'.repeat(length)),
    __proto__: text,
  };
  return fc
    .constantFrom(...Object.keys(values))
    .chain((name) => inHeader(values[name] ?? text).map((value): [string, string] => [name, value]));
}

function shapesOf({ repository, bystander, blobs, manifests, images, tags, sessions }: Target): Shape[] {
  const climbing = fc.constantFrom(
    ...['../', '..%2f', '%2e%2e/', '%2e%2e%2f', '..%252f', '..;/', '.../', '..\\'].flatMap((up) =>
      ['', `${repository}/`, 'x/', 'library/'].map((below) => `${below}${up}${up}${bystander}`),
    ),
  );
  const name = fc.oneof(
    { weight: 4, arbitrary: fc.constant(repository) },
    { weight: 4, arbitrary: inUrl(perhaps(fc.constant(repository))) },
    { weight: 2, arbitrary: climbing },
    { weight: 2, arbitrary: inUrl(fc.array(text, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))) },
  );
  const knownDigest = fc.oneof(
    fc.constantFrom(...blobs.map(({ digest }) => digest), ...manifests),
    hex(64).map((digits) => `sha256:${digits}`),
    hex(128).map((digits) => `sha512:${digits}`),
  );
  const digest = inUrl(perhaps(knownDigest));
  const tag = inUrl(perhaps(fc.constantFrom(...tags)));
  const id = inUrl(perhaps(fc.oneof(fc.constantFrom(...images), hex(64), hex(16))));

  const descriptor = fields({
    mediaType: fc.constantFrom(
      'application/vnd.oci.image.config.v1+json',
      'application/vnd.oci.image.layer.v1.tar+zstd',
      'application/vnd.oci.image.layer.v1.tar+gzip',
      'x',
    ),
    blob: fc.constantFrom(...blobs),
  }).map((value) => {
    const { blob, ...rest } = value as { blob?: unknown };
    return typeof blob === 'object' && blob !== null ? { ...rest, ...blob } : rest;
  });
  const manifest = fc.oneof(
    {
      weight: 3,
      arbitrary: asJson(
        fields({
          schemaVersion: fc.constant(2),
          mediaType: fc.constant('application/vnd.oci.image.manifest.v1+json'),
          config: descriptor,
          layers: fc.array(descriptor, { maxLength: 3 }),
          annotations: fc.dictionary(text, fc.jsonValue({ maxDepth: 1 }), { maxKeys: 3 }),
        }),
      ),
    },
    {
      weight: 1,
      arbitrary: asJson(
        fields({
          schemaVersion: fc.constant(2),
          manifests: fc.array(descriptor, { maxLength: 3 }),
          subject: descriptor,
        }),
      ),
    },
    { weight: 1, arbitrary: json.map((value) => Buffer.from(value)) },
  );
  const imageId = fc.oneof(fc.constantFrom(...images), hex(64));
  const imageJson = asJson(
    fields({
      id: imageId,
      parent: imageId,
      created: text,
      container_config: fc.jsonValue({ maxDepth: 2 }),
      architecture: text,
    }),
  );
  const indexImages = asJson(
    fc.array(fields({ id: fc.oneof(imageId, text), checksum: text, Tag: text }), { maxLength: 5 }),
  );

  const v2 = (end: Arbitrary<string>) => fc.tuple(name, end).map(([one, rest]) => `/v2/${one}${rest}`);
  const v1 = (end: Arbitrary<string>) => fc.tuple(name, end).map(([one, rest]) => `/v1/repositories/${one}${rest}`);
  const session = fc.constantFrom(...sessions);
  return [
    {
      methods: ['PUT', 'PUT', 'GET', 'HEAD', 'DELETE'],
      path: v2(fc.oneof(tag, digest).map((reference) => `/manifests/${reference}`)),
      body: manifest,
    },
    { methods: ['GET', 'HEAD', 'DELETE'], path: v2(digest.map((one) => `/blobs/${one}`)) },
    {
      methods: ['POST'],
      path: v2(fc.constantFrom('/blobs/uploads/', '/blobs/uploads', '/blobs//uploads/')),
      query: fc
        .tuple(fc.constantFrom('mount', 'digest'), digest, inUrl(perhaps(fc.constant(repository))))
        .map(([what, one, from]) => `${what}=${one}&from=${from}`),
    },
    {
      methods: ['PATCH', 'PUT', 'GET', 'DELETE'],
      path: fc.oneof(session.map(pathOf), v2(inUrl(text).map((uuid) => `/blobs/uploads/${uuid}`))),
      query: fc
        .tuple(perhaps(session.map(stateOf)), digest)
        .map(([state, one]) => `_state=${encodeURIComponent(state.toWellFormed())}&digest=${one}`),
      headers: fc
        .tuple(number, number)
        .map(([from, to]): [string, string][] => [['Content-Range', Buffer.from(`${from}-${to}`).toString('latin1')]]),
    },
    {
      methods: ['GET'],
      path: v2(fc.constantFrom('/tags/list', '/tags/list/', '/tags', '/tags/x')),
      query: anyQuery({ repository, bystander, blobs, manifests, images, tags, sessions }),
    },
    {
      methods: ['GET'],
      path: fc.constantFrom(
        '/v2/_catalog',
        '/v2',
        '/v2/',
        '/v1/search',
        '/v1/_ping',
        '/v1/_status',
        '/',
        '/healthz',
        '/readyz',
        '/v1/users/',
      ),
    },
    { methods: ['GET'], path: v2(digest.map((one) => `/referrers/${one}`)) },

    { methods: ['PUT', 'GET'], path: id.map((one) => `/v1/images/${one}/json`), body: imageJson },
    {
      methods: ['PUT', 'GET'],
      path: fc
        .tuple(id, fc.constantFrom('layer', 'checksum', 'ancestry', 'files', 'diff', 'x'))
        .map(([one, part]) => `/v1/images/${one}/${part}`),
    },
    {
      methods: ['PUT', 'GET', 'DELETE'],
      path: v1(tag.map((one) => `/tags/${one}`)),
      body: asJson(fc.oneof(imageId, text)),
    },
    {
      methods: ['GET', 'HEAD'],
      path: v1(
        fc.oneof(
          tag.map((one) => `/tags/${one}/json`),
          fc.constantFrom('/tags', '/json', '/images', '/properties', '/auth', '/layer/x/access'),
        ),
      ),
    },
    { methods: ['PUT', 'DELETE'], path: v1(fc.constantFrom('/', '', '/images', '/tags', '/auth')), body: indexImages },
    {
      methods: ['PUT'],
      path: v1(fc.constant('/properties')),
      body: asJson(fields({ access: fc.constantFrom('private', 'public') })),
    },
    {
      methods: ['POST', 'PUT', 'GET'],
      path: fc.oneof(
        fc.constantFrom('/v1/users', '/v1/users/'),
        inUrl(text).map((user) => `/v1/users/${user}/`),
      ),
    },
    { methods: ANY_METHOD, path: inUrl(fc.array(text, { maxLength: 6 }).map((parts) => `/${parts.join('/')}`)) },
  ];
}

function pathOf(session: string): string {
  return session.replace(/\?.*/, '');
}

function stateOf(session: string): string {
  return session.replace(/^.*_state=/, '');
}

import { mapConcurrently } from '../lib/concurrency/map-concurrently.ts';
import { MiB } from '../lib/streams/bytes.ts';
import { V2Client } from '../test/v2/client.ts';
import { pushImage } from '../test/v2/image.ts';
import { getFresh, getRepeatedly, pull, push, type Requests } from './load.ts';
import type { Registry } from './registries.ts';
import type { BenchStorage, RegistryName } from './storage.ts';

export type Sizes = {
  /** Size of the large layer. */
  bigMiB: number;
  smallBlobs: number;
  /** Duration of each sample of manifest requests. */
  seconds: number;
};

export type Metric = {
  title: string;
  unit: string;
  better: 'more' | 'less';
  /** The least ratio to distribution that Stowage aims at; above 1 is better. */
  aim?: number;
};

export type Measure = {
  /** The name for `--only`. */
  name: string;
  storage: BenchStorage['kind'];
  /** Whether clients pull blobs from the bucket, by redirect. */
  redirects: boolean;
  /** Whether to empty the registry's storage before each sample, because a sample leaves much in it. */
  fills: boolean;
  /** One process of Stowage, without the peers, for the bounds of its memory. */
  isOfOneWorker: boolean;
  /** The peers that can do it. */
  peers: readonly RegistryName[];
  metrics: readonly Metric[];
  /** Whether Stowage aims at no more CPU time than distribution uses. */
  aimsAtCpu: boolean;
  /** The most memory of the registry that Stowage aims at. */
  aimMiB?: number;
  /** Prepares a registry. @returns a function that takes a sample: a value for each metric */
  prepare(registry: Registry, sizes: Sizes): Promise<() => Promise<number[]>>;
};

const SMALL_BYTES = 16 * 1024;
/** Docker's own `max-concurrent-uploads`. */
const UPLOADS_AT_ONCE = 5;
/** An image of ten layers, nine of which all images share; its manifest has about 2 KiB. */
const LAYERS = Array.from({ length: 9 }, (_, index) => `layer ${index}`);
const ACCEPT = 'application/vnd.oci.image.manifest.v1+json';

const FRESH = { connections: 128, rounds: 10 };
const PUSHES_AT_ONCE = 8;

/** The bounds of memory of one process, with one push and with `PUSHES_AT_ONCE`. */
const ONE_PUSH_MIB = 180;
const PUSHES_MIB = 384;

/** The least ratios to distribution: on S3, and on disk, where each push has the first and each other row the second. */
const AIMS = {
  s3: {
    push: 1.8,
    small: 3.5,
    pull: 1,
    requests: new Map([
      [1, 2],
      [16, 4],
      [128, 5],
    ]),
    latency: 1,
  },
  disk: {
    push: 1.2,
    small: 1.2,
    pull: 1,
    requests: new Map([
      [1, 1],
      [16, 1],
      [128, 1],
    ]),
    latency: 1,
  },
};
type Aims = (typeof AIMS)['s3'];

/** What all measures have, but for what they say. */
const DEFAULTS = {
  redirects: false,
  fills: false,
  isOfOneWorker: false,
  peers: ['distribution', 'zot'],
  aimsAtCpu: false,
} as const;

/** A measure that either kind of storage can have. */
type MeasureOfEither = Omit<Measure, 'storage'>;

const repositoryUrlOf = ({ url }: Registry) => `${url}/v2/bench/app`;

const KINDS = { patch: 'POST + PATCH + PUT', put: 'POST + PUT' };

const pushOf = (kind: 'patch' | 'put', aim: number): MeasureOfEither => ({
  ...DEFAULTS,
  name: `push-${kind}`,
  fills: true,
  metrics: [{ title: `push of one layer, ${KINDS[kind]}`, unit: 'MiB/s', better: 'more', aim }],
  aimsAtCpu: true,
  aimMiB: ONE_PUSH_MIB,
  prepare:
    async (registry, { bigMiB }) =>
    async () => {
      const { seconds } = await push({ repositoryUrl: repositoryUrlOf(registry), kind, sizeMiB: bigMiB, atOnce: 1 });
      return [bigMiB / seconds];
    },
});

/** The same number of bytes as in one layer, as several layers. */
const pushesAtOnce: MeasureOfEither = {
  ...DEFAULTS,
  name: 'push-at-once',
  fills: true,
  peers: ['distribution'],
  metrics: [{ title: `push of ${PUSHES_AT_ONCE} layers at once, ${KINDS.patch}`, unit: 'MiB/s', better: 'more' }],
  aimMiB: PUSHES_MIB,
  prepare:
    async (registry, { bigMiB }) =>
    async () => {
      const sizeMiB = Math.ceil(bigMiB / PUSHES_AT_ONCE);
      const repositoryUrl = repositoryUrlOf(registry);
      const { seconds } = await push({ repositoryUrl, kind: 'patch', sizeMiB, atOnce: PUSHES_AT_ONCE });
      return [(sizeMiB * PUSHES_AT_ONCE) / seconds];
    },
};

const smallPushes = (aim: number): MeasureOfEither => ({
  ...DEFAULTS,
  name: 'push-small',
  fills: true,
  metrics: [
    { title: `push of small blobs, ${KINDS.put}, ${UPLOADS_AT_ONCE} at once`, unit: 'blobs/s', better: 'more', aim },
  ],
  prepare:
    async (registry, { smallBlobs: count }) =>
    async () => {
      const task = { kind: 'small', count, sizeBytes: SMALL_BYTES, atOnce: UPLOADS_AT_ONCE } as const;
      const { seconds } = await push({ repositoryUrl: repositoryUrlOf(registry), ...task });
      return [count / seconds];
    },
});

const pullOf = (name: string, title: string, aim: number): MeasureOfEither => ({
  ...DEFAULTS,
  name,
  metrics: [{ title: `pull of one layer, ${title}`, unit: 'MiB/s', better: 'more', aim }],
  async prepare(registry, { bigMiB }) {
    const repositoryUrl = repositoryUrlOf(registry);
    const { digest } = await push({ repositoryUrl, kind: 'put', sizeMiB: bigMiB, atOnce: 1 });
    return async () => [bigMiB / (await pull(`${repositoryUrl}/blobs/${digest}`, bigMiB * MiB))];
  },
});

const pullByRedirect = (aim: number): MeasureOfEither => ({
  ...pullOf('pull-redirect', 'by redirect to the bucket', aim),
  redirects: true,
  peers: ['distribution'],
});

/** GETs of manifests by tag. @param load what a sample does */
const manifestGets = (
  { name, title, images }: { name: string; title: string; images: number },
  { requests, latency }: { requests: number | undefined; latency: number },
  load: (url: string, paths: readonly string[], sizes: Sizes) => Promise<Requests>,
): MeasureOfEither => ({
  ...DEFAULTS,
  name,
  metrics: [
    { title: `manifest GET, ${title}`, unit: 'requests/s', better: 'more', ...(requests && { aim: requests }) },
    { title: 'p50', unit: 'ms', better: 'less', aim: latency },
    { title: 'p99', unit: 'ms', better: 'less', aim: latency },
  ],
  async prepare({ url }, sizes) {
    const client = new V2Client(new URL(url));
    // One repository each, because the background work after a push of a tag grows with the tags of the repository.
    const repositories = Array.from({ length: images }, (_, index) => `bench/app-${index + 1}`);
    const pushOne = (repository: string) =>
      pushImage(client, repository, 'latest', { contents: [...LAYERS, repository] });
    await mapConcurrently(repositories, pushOne, UPLOADS_AT_ONCE);
    const paths = repositories.map((repository) => `/v2/${repository}/manifests/latest`);
    return async () => {
      const { perSecond, p50Ms, p99Ms } = await load(url, paths, sizes);
      return [perSecond, p50Ms, p99Ms];
    };
  },
});

const manifestsOf = (connections: number, images: number, { requests, latency }: Aims): MeasureOfEither =>
  manifestGets(
    {
      name: images === 1 ? `manifest-${connections}` : `manifest-${connections}-images`,
      title: `${images === 1 ? 'one tag' : `${images} repositories in turn`}, ${connections} connections`,
      images,
    },
    { requests: images === 1 ? requests.get(connections) : undefined, latency },
    (url, paths, { seconds }) => getRepeatedly(url, paths, { connections, seconds, accept: ACCEPT }),
  );

const freshConnections = ({ latency }: Aims): MeasureOfEither =>
  manifestGets(
    { name: 'manifest-fresh', title: `${FRESH.connections} fresh connections at once`, images: 1 },
    { requests: undefined, latency },
    (url, [path = ''], _) => getFresh({ url, path, accept: ACCEPT, ...FRESH }),
  );

const ofOneWorker = (measure: MeasureOfEither): MeasureOfEither => ({
  ...measure,
  name: `${measure.name}-one-worker`,
  isOfOneWorker: true,
  metrics: measure.metrics.map(({ title, unit, better }) => ({ title: `${title}, one worker`, unit, better })),
});

/** Without the bound of memory, which is for one process. */
const ofAllWorkers = ({ aimMiB: _, ...measure }: MeasureOfEither): MeasureOfEither => measure;

function measuresWith(aims: Aims): MeasureOfEither[] {
  const pushes = [pushOf('patch', aims.push), pushOf('put', aims.push), pushesAtOnce];
  return [
    ...pushes.map(ofAllWorkers),
    ...pushes.map(ofOneWorker),
    smallPushes(aims.small),
    pullOf('pull', 'through the registry', aims.pull),
    manifestsOf(1, 1, aims),
    manifestsOf(16, 1, aims),
    manifestsOf(128, 1, aims),
    manifestsOf(128, 100, aims),
    freshConnections(aims),
  ];
}

export const measures: readonly Measure[] = [
  ...[...measuresWith(AIMS.s3), pullByRedirect(AIMS.s3.pull)].map(
    (measure): Measure => ({ ...measure, storage: 's3' }),
  ),
  ...measuresWith(AIMS.disk).map((measure): Measure => ({ ...measure, name: `disk-${measure.name}`, storage: 'disk' })),
];

import { MiB } from '../lib/streams/bytes.ts';
import { V2Client } from '../test/v2/client.ts';
import { pushImage } from '../test/v2/image.ts';
import { getRepeatedly, pull, push } from './load.ts';
import type { Registry } from './registries.ts';
import type { BenchStorage } from './storage.ts';

export type Sizes = {
  /** Size of the large layer. */
  bigMiB: number;
  smallBlobs: number;
  /** Duration of each sample of manifest requests. */
  seconds: number;
};

export type Metric = { title: string; unit: string; better: 'more' | 'less' };

export type Measure = {
  /** The name for `--only`. */
  name: string;
  storage: BenchStorage['kind'];
  /** Whether clients pull blobs from the bucket, by redirect. */
  redirects: boolean;
  /** Whether to empty the registry's storage before each sample, because a sample leaves much in it. */
  fills: boolean;
  metrics: readonly Metric[];
  /** Prepares a registry. @returns a function that takes a sample: a value for each metric */
  prepare(registry: Registry, sizes: Sizes): Promise<() => Promise<number[]>>;
};

const SMALL_BYTES = 16 * 1024;
/** Docker's own `max-concurrent-uploads`. */
const UPLOADS_AT_ONCE = 5;
/** An image of ten layers, nine of which all images share; its manifest has about 2 KiB. */
const LAYERS = Array.from({ length: 9 }, (_, index) => `layer ${index}`);
const ACCEPT = 'application/vnd.oci.image.manifest.v1+json';

/** A measure that either kind of storage can have. */
type MeasureOfEither = Omit<Measure, 'storage'>;

const repositoryUrlOf = ({ url }: Registry) => `${url}/v2/bench/app`;

const pushOf = (kind: 'patch' | 'put', title: string): MeasureOfEither => ({
  name: `push-${kind}`,
  redirects: false,
  fills: true,
  metrics: [{ title: `push of one layer, ${title}`, unit: 'MiB/s', better: 'more' }],
  prepare:
    async (registry, { bigMiB }) =>
    async () => {
      const { seconds } = await push({ repositoryUrl: repositoryUrlOf(registry), kind, sizeMiB: bigMiB });
      return [bigMiB / seconds];
    },
});

const smallPushes: MeasureOfEither = {
  name: 'push-small',
  redirects: false,
  fills: true,
  metrics: [{ title: `push of small blobs, POST + PUT, ${UPLOADS_AT_ONCE} at once`, unit: 'blobs/s', better: 'more' }],
  prepare:
    async (registry, { smallBlobs: count }) =>
    async () => {
      const task = { kind: 'small', count, sizeBytes: SMALL_BYTES, atOnce: UPLOADS_AT_ONCE } as const;
      const { seconds } = await push({ repositoryUrl: repositoryUrlOf(registry), ...task });
      return [count / seconds];
    },
};

const pullOf = (name: string, title: string, redirects: boolean): MeasureOfEither => ({
  name,
  redirects,
  fills: false,
  metrics: [{ title: `pull of one layer, ${title}`, unit: 'MiB/s', better: 'more' }],
  async prepare(registry, { bigMiB }) {
    const repositoryUrl = repositoryUrlOf(registry);
    const { digest } = await push({ repositoryUrl, kind: 'put', sizeMiB: bigMiB });
    return async () => [bigMiB / (await pull(`${repositoryUrl}/blobs/${digest}`, bigMiB * MiB))];
  },
});

const manifestsOf = (connections: number, images: number): MeasureOfEither => ({
  name: images === 1 ? `manifest-${connections}` : `manifest-${connections}-images`,
  redirects: false,
  fills: false,
  metrics: [
    {
      title: `manifest GET, ${images === 1 ? 'one tag' : `${images} repositories in turn`}, ${connections} connections`,
      unit: 'requests/s',
      better: 'more',
    },
    { title: 'p50', unit: 'ms', better: 'less' },
    { title: 'p99', unit: 'ms', better: 'less' },
  ],
  async prepare({ url }, { seconds }) {
    const client = new V2Client(new URL(url));
    const paths: string[] = [];
    for (let image = 1; image <= images; image++) {
      // One repository each, because the background work after a push of a tag grows with the tags of the repository.
      const repository = `bench/app-${image}`;
      await pushImage(client, repository, 'latest', { contents: [...LAYERS, String(image)] });
      paths.push(`/v2/${repository}/manifests/latest`);
    }
    return async () => {
      const { perSecond, p50Ms, p99Ms } = await getRepeatedly(url, paths, { connections, seconds, accept: ACCEPT });
      return [perSecond, p50Ms, p99Ms];
    };
  },
});

const ofBoth: readonly MeasureOfEither[] = [
  pushOf('patch', 'POST + PATCH + PUT'),
  pushOf('put', 'POST + PUT'),
  smallPushes,
  pullOf('pull', 'through the registry', false),
  manifestsOf(1, 1),
  manifestsOf(16, 1),
  manifestsOf(128, 1),
  manifestsOf(128, 100),
];

export const measures: readonly Measure[] = [
  ...[...ofBoth, pullOf('pull-redirect', 'by redirect to the bucket', true)].map(
    (measure): Measure => ({ ...measure, storage: 's3' }),
  ),
  ...ofBoth.map((measure): Measure => ({ ...measure, name: `disk-${measure.name}`, storage: 'disk' })),
];

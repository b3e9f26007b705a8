import { DEFAULT_UNPACK_LIMITS } from '../compression/unpack-limits.ts';
import { NO_PEERS, type Peers } from '../concurrency/peers.ts';
import type { Key } from '../model/layout.ts';
import type { StorageDriver } from '../storage/driver.ts';
import type { Blobs } from './blobs/blobs.ts';
import { BlobStore } from './blobs/store.ts';
import { Collections } from './collector/collections.ts';
import type { V1ImagesPolicy } from './collector/image-reasons.ts';
import type { Fsck } from './fsck/fsck.ts';
import { TagRestoration } from './history/restore-tag.ts';
import type { TagHistory } from './history/tag-history.ts';
import { ManifestDeletion } from './manifests/delete-manifest.ts';
import { type IndexChildren, ManifestChecks } from './manifests/manifest-checks.ts';
import { ManifestReads } from './manifests/manifest-reads.ts';
import { Manifests } from './manifests/manifests.ts';
import type { Referrers } from './manifests/referrers.ts';
import { FactsStore } from './manifests/stored-facts.ts';
import { Adoption } from './old-buckets/adopt.ts';
import { createTagChangeHandler } from './on-tag-change.ts';
import { assembleReads, type RegistryReads, type RegistryReadsOptions } from './registry-reads.ts';
import { Catalog } from './repositories/catalog.ts';
import { Search } from './repositories/search.ts';
import { V1Repositories } from './repositories/v1-repositories.ts';
import { createRetention } from './retention/create-retention.ts';
import type { PullRecords } from './retention/pull-records.ts';
import type { Retention } from './retention/retention.ts';
import { NO_RETENTION } from './retention/settings.ts';
import { TagDeletion } from './tags/delete-tag.ts';
import { IndexImages } from './tags/index-images.ts';
import { TagMetadata } from './tags/metadata.ts';
import type { Tags } from './tags/tags.ts';
import { Uploads } from './uploads/uploads.ts';
import { type QuotaSettings, Quotas } from './usage/quotas.ts';
import { Usage } from './usage/usage.ts';
import { DescribedProjections } from './v1-images/described-projections.ts';
import { ImageFiles } from './v1-images/files.ts';
import { ImageGrants } from './v1-images/grants.ts';
import { ImageLooks } from './v1-images/image-looks.ts';
import { ImageRights } from './v1-images/image-rights.ts';
import { Images } from './v1-images/images.ts';
import { ImmutableImageTags } from './v1-images/immutable-image-tags.ts';
import { type FindGrantedLayer, ImageLayers } from './v1-images/layers.ts';
import { ImagePushes } from './v1-pushes/pushes.ts';
import { ImageConversions } from './v1-to-v2/convert-image.ts';
import { ImageProjections, type ProjectionOptions } from './v2-to-v1/project-image.ts';
import { TagProjections } from './v2-to-v1/project-tags.ts';
import { IndexImagesUpdates } from './v2-to-v1/update-index-images.ts';
import { V1Tags } from './v2-to-v1/v1-tags.ts';

/** What the routes of v1 and v2 call: one storage, opened. */
export type Registry = {
  adoption: Adoption;
  blobs: Blobs;
  catalog: Catalog;
  /** Conversions of v1 images. */
  conversions: Pick<ImageConversions, 'convert'>;
  facts: FactsStore;
  collections: Collections;
  fsck: Pick<Fsck, 'run'>;
  /** Whether this process lives on after its answers. */
  runsInBackground: boolean;
  history: TagHistory;
  indexImages: IndexImages;
  imageFiles: ImageFiles;
  imageRights: ImageRights;
  imagePushes: ImagePushes;
  images: Images;
  manifestDeletion: ManifestDeletion;
  manifests: Manifests;
  /** The other workers of the same server. */
  peers: Peers;
  pulls: PullRecords;
  quotas: Quotas;
  referrers: Referrers;
  repositories: V1Repositories;
  retention: Retention;
  search: Search;
  tagMetadata: TagMetadata;
  tags: Tags;
  tagProjections: TagProjections;
  tagRestoration: TagRestoration;
  uploads: Uploads;
  usage: Usage;
  v1Tags: V1Tags;
};

/** `unpackLimits` defaults to `DEFAULT_UNPACK_LIMITS`. */
export type RegistryOptions = Pick<ProjectionOptions, 'copiesLayers'> &
  Partial<ProjectionOptions> &
  RegistryReadsOptions & {
    /** Whether projections are made by the first v1 request that needs them, and not behind the push. Default false. */
    projectsLazily?: boolean;
    /** Whether the manifests that an index names must exist. Default `required`. */
    indexChildren?: IndexChildren;
    /** Default: no quotas. */
    quotas?: QuotaSettings;
    /** The users file, where it lies in this storage: `fsck` knows it. */
    usersKey?: Key | undefined;
    /** Whether the collector removes images that v1 clients pushed and nothing keeps. Default `keep`. */
    v1Images?: V1ImagesPolicy;
  };

/**
 * Builds everything that acts on one storage, in the order of dependencies.
 * @param opened the storage
 * @param reads what was assembled before for pulls, with the same options
 */
export function assembleRegistry(
  opened: StorageDriver,
  options: RegistryOptions,
  reads: RegistryReads = assembleReads(opened, options),
): Registry {
  const { storage, blobs, history, pulls, referrers, reusable, stored, tags } = reads;
  const { copiesLayers, unpackLimits = DEFAULT_UNPACK_LIMITS, background, projectsLazily = false } = options;
  const { indexChildren, peers = NO_PEERS, retention: retentionSettings = NO_RETENTION, times, v1Images } = options;
  const store = new BlobStore(storage, reusable);
  const uploads = new Uploads(storage, { blobs, store });

  const metadata = new TagMetadata(storage);
  const indexImages = new IndexImages(storage);

  const rights = new ImageRights(storage, { tags });
  const findGranted: FindGrantedLayer = async (id) => {
    const source = rights.sourceOf(id);
    return source && (await blobs.find(source.repository, source.content.layer));
  };
  const layers = new ImageLayers(storage, unpackLimits, { store, findGranted });
  const images = new Images(storage, layers);
  const imageFiles = new ImageFiles(storage, images, { unpackLimits });
  const grants = new ImageGrants(storage);
  const looks = new ImageLooks(storage, times);
  const imagePushes = new ImagePushes(storage, { images, looks, layers, grants, unpackLimits });
  const described = new DescribedProjections(storage, { blobs, reusable, layers, looks });
  const immutableImageTags = new ImmutableImageTags(storage, { tags, grants });

  const imageConversions = new ImageConversions(storage, {
    blobs,
    store,
    reusable,
    images,
    looks,
    layers,
    rights,
    described,
    immutableImageTags,
  });
  const projections = new ImageProjections(
    storage,
    { blobs, store, reusable, images, looks, layers, grants },
    { copiesLayers, unpackLimits },
  );
  const facts = new FactsStore(storage, { blobs, background });
  const v1Tags = new V1Tags(storage, { tags, images, projections, grants, indexImages, facts }, { projectsLazily });
  const indexImagesUpdates = new IndexImagesUpdates(storage, { tags, metadata, indexImages });
  const tagProjections = new TagProjections({ tags, projections, metadata, indexImagesUpdates }, { projectsLazily });

  const catalog = new Catalog(storage);
  const search = new Search(catalog, peers);
  const onTagChange = createTagChangeHandler({ background, search, tagProjections, indexImagesUpdates });
  const checks = new ManifestChecks({ blobs, stored, immutableImageTags }, indexChildren ? { indexChildren } : {});
  const tagDeletion = new TagDeletion({ tags, metadata, onTagChange });
  const manifestReads = new ManifestReads({
    tags,
    stored,
    convert: (repository, id) => imageConversions.convert(repository, id),
  });
  const manifests = new Manifests({ blobs, tags, reads: manifestReads, stored, checks, facts, onTagChange });
  const repositories = new V1Repositories(storage, {
    tags,
    tagDeletion,
    images,
    looks,
    metadata,
    grants,
    rights,
    described,
    manifests,
    immutableImageTags,
    search,
  });

  const restoration = new TagRestoration(storage, { history, tags, manifests, images, looks, metadata, onTagChange });
  const retention = createRetention(
    storage,
    { tags, tagDeletion, history, restoration, catalog, stored, facts, blobs, pulls },
    retentionSettings,
  );

  // The collector lists twice-quoted keys as they are.
  const loadCollector = async () => {
    const { Collector } = await import('./collector/collector.ts');
    return new Collector(opened, {
      stages: async () =>
        (await import('./collector/stages.ts')).collectorStages({
          undoMs: retention.undoMs,
          untaggedPolicy: retention.untaggedPolicy,
          findSources: (digest, among) => imageConversions.findSources(digest, among),
          ...(v1Images && { v1Images }),
        }),
      ...(times && { times }),
    });
  };

  const quotas = new Quotas(storage, options.quotas, peers);

  // Adoption looks for objects under twice-quoted keys itself, so it gets the storage without the merge.
  const adoption = new Adoption(opened, { catalog, tags, images, layers, conversions: imageConversions, grants });

  return {
    adoption,
    blobs,
    catalog,
    conversions: imageConversions,
    facts,
    collections: new Collections(loadCollector),
    // It reports twice-quoted keys as they are.
    fsck: {
      run: async (fsckOptions) =>
        await new (await import('./fsck/fsck.ts')).Fsck(
          opened,
          { tags, manifests, referrers },
          { times, usersKey: options.usersKey },
        ).run(fsckOptions),
    },
    history,
    indexImages,
    imageFiles,
    imageRights: rights,
    imagePushes,
    images,
    manifestDeletion: new ManifestDeletion(storage, {
      stored,
      tags,
      tagDeletion,
      conversions: imageConversions,
      onTagChange,
    }),
    manifests,
    peers,
    pulls,
    quotas,
    referrers,
    repositories,
    retention,
    runsInBackground: background !== undefined,
    search,
    tagMetadata: metadata,
    tags,
    tagProjections,
    tagRestoration: restoration,
    uploads,
    usage: new Usage(opened, { tags, quotas, v1Images }),
    v1Tags,
  };
}

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Key, layout } from '../../../lib/model/layout.ts';
import { digestOfHex, type ImageId, parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { condemnedBy } from '../../../lib/registry/condemned/condemned.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import { FilesDriver } from '../../../lib/storage/files.ts';

const app = parseRepositoryName('team/app');
const tag = parseTag('1.0');
const id = 'ab'.repeat(32) as ImageId;
const digest = digestOfHex('cd'.repeat(32));
const uuid = randomUUID();
const sum = 'ef'.repeat(16);

/** A key by each function of the layout that makes the key of an object. */
const KEYS = {
  imageJson: layout.imageJson(id),
  imageLayer: layout.imageLayer(id),
  imageAncestry: layout.imageAncestry(id),
  imageChecksum: layout.imageChecksum(id),
  imageFiles: layout.imageFiles(id),
  imageDiff: layout.imageDiff(id),
  imageInProgress: layout.imageInProgress(id),
  tag: layout.tag(app, tag),
  tagJson: layout.tagJson(app, tag),
  legacyTagJson: layout.legacyTagJson(app, '_x' as typeof tag),
  repositoryJson: layout.repositoryJson(app),
  repositoryPrivate: layout.repositoryPrivate(app),
  repositoryImagesList: layout.repositoryImagesList(app),
  indexImages: layout.indexImages(app),
  layoutVersion: layout.layoutVersion(),
  manifest: layout.manifest(app, digest),
  blobLink: layout.blobLink(app, digest),
  referrer: layout.referrer(app, digest, digest),
  historyEntry: layout.historyEntry(app, { tag, atMs: 1, target: 'deleted' }),
  facts: layout.facts(app, digest, 'facts'),
  lastPulled: layout.lastPulled(app, digest),
  sharedLayers: layout.sharedLayers(app),
  usageSummary: layout.usageSummary(app),
  usageOverview: layout.usageOverview(),
  quotas: layout.quotas(),
  blobCopy: layout.blobCopy(digest, uuid),
  blobPointer: layout.blobPointer(digest, uuid, 1),
  blobMark: layout.blobMark(digest, uuid),
  data: layout.data(uuid),
  uploadScrap: layout.uploadScrap(uuid),
  robot: layout.robot(uuid),
  collectorState: layout.collectorState(),
  unnamedData: layout.unnamedData(uuid),
  manifestEdges: layout.manifestEdges(app),
  collectorPart: layout.collectorPart(uuid),
  retentionPlan: layout.retentionPlan('1'),
  retentionPlanTags: layout.retentionPlanTags('1'),
  recordedPulls: layout.recordedPulls(),
  imageCell: layout.imageCell(id),
  imageBlob: layout.imageBlob(id, digest),
  imageLayerDescriptor: layout.imageLayerDescriptor(id),
  projectionRecord: layout.projectionRecord(id),
  manifestGrant: layout.manifestGrant(id, app, [digest]),
  describingGrant: layout.describingGrant(id, app, [digest], { layer: digest, jsonSum: sum, ancestrySum: sum }),
  tagGrant: layout.tagGrant(id, 'pushed', app, { tag, top: id }),
  outdatedGrant: layout.outdatedGrant(id, 'pushed', app),
  pusherRecord: layout.pusherRecord(id, 'pusher'),
  pendingJson: layout.pendingJson(id, 'ab', 'cd'),
  sentLayer: layout.sentLayer(id, 'ab', 'cd', 'ef'),
  conversion: layout.conversion(id),
  conversionSource: layout.conversionSource(digest, id),
};

/** Enough for the objects that fsck reads. */
const CONTENT = { manifest: digest, condemned: condemnedBy(uuid) };

/** Functions of the layout that make prefixes, positions in listings, or no key. */
const NO_KEYS = [
  ...['image', 'repositories', 'namespace', 'repository', 'tags', 'tagsAfter', 'isTag', 'mayBeLegacyTagJson'],
  ...['tagOfMetadata', 'afterFolder', 'stowageObjects', 'ociRepositories', 'ociRepository', 'manifests', 'referrers'],
  ...['referrersAfter', 'tagHistory', 'historyAfter', 'hasHistory', 'repositoryHistory', 'repositoryFacts'],
  ...['manifestFacts', 'repositoryPulls', 'blobs', 'blobFolder', 'allData', 'isData', 'outdatedDigestMarkers'],
  ...['uploadScraps', 'robots', 'allUnnamedData', 'collectorParts', 'retentionPlans', 'allImages', 'allImageRecords'],
  ...['imageProjections', 'imageRecords', 'imageGrants', 'repositoryGrants', 'allPendingPushes', 'pendingPushes'],
  'conversionSources',
];

describe('the keys that fsck knows', () => {
  let directory: string;
  let driver: FilesDriver;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fsck-keys-'));
    driver = await FilesDriver.open(directory);
  });
  after(async () => {
    await driver.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('are tested for each function of the layout', () => {
    assert.deepEqual([...Object.keys(KEYS), ...NO_KEYS].toSorted(), Object.keys(layout).toSorted());
  });

  const unknownKeys = async (key: Key) => {
    const unknown: string[] = [];
    await driver.put(key, Buffer.from(JSON.stringify(CONTENT)));
    try {
      await assembleRegistry(driver, { copiesLayers: true }).fsck.run({
        onFinding: (finding) => void (finding.kind === 'unknown-key' && unknown.push(finding.key)),
      });
      return unknown;
    } finally {
      await driver.delete(key);
    }
  };

  for (const [name, key] of Object.entries(KEYS)) {
    it(`include that of ${name}`, async () => {
      assert.ok(key);
      assert.deepEqual(await unknownKeys(key), []);
    });
  }

  it('do not include that of another object', async () => {
    for (const key of ['oci/quotas.json.old', 'users', 'oci/x']) {
      assert.deepEqual(await unknownKeys(key as Key), [key]);
    }
  });
});

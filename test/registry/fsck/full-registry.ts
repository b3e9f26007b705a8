import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { assembleRegistry, type Registry } from '../../../lib/registry/registry.ts';
import { oldBucket } from '../../old-buckets/generator.ts';
import { storeBucket } from '../../old-buckets/in-storage.ts';
import type { OpenedStorage } from '../../storage/open.ts';
import { startRegistry } from '../../support/registry-server.ts';
import { V1Client } from '../../support/v1-client.ts';
import { ubuntuChain } from '../../v1/chain.ts';
import { V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';

const OCI = 'application/vnd.oci.image';

/** Everything older counts as garbage at once. */
export const NO_WAIT = { graceMs: 0, lookMs: 60_000, minAgeMs: -60_000, oldWritersMs: 0 };

export const registryOver = (storage: OpenedStorage, v1Layers: 'copy' | 'link' = 'copy'): Registry =>
  assembleRegistry(storage.driver, { copiesLayers: v1Layers === 'copy', times: NO_WAIT });

export type FullRegistry = {
  /** Digest of `team/app:1.0`, an image of two layers. */
  app: string;
  /** Digest of `team/zstd:1.0`, whose projections have records. */
  zstd: string;
  /** Digest of `team/multi:1.0`, an index. */
  index: string;
  child: string;
  /** Digest of a referrer of `app`. */
  referrer: string;
  /** Digest of a blob of 5 MiB in `team/app`, which came without its digest, and the layer of `team/big:1.0`. */
  big: string;
};

/**
 * Fills storage by clients of both protocols: images, an index, a referrer, a mount, a large layer, projections, and an image
 * of v1 with its conversion; and with `old`, the bucket of a docker-registry, adopted.
 */
export async function fillRegistry(
  storage: OpenedStorage,
  { v1Layers = 'copy', old = false }: { v1Layers?: 'copy' | 'link'; old?: boolean } = {},
): Promise<FullRegistry> {
  if (old) await storeBucket(storage.driver, oldBucket('0.9.1'));
  const server = await startRegistry(storage.driver, { v1Layers });
  try {
    const v2 = new V2Client(server.url);
    const app = await pushImage(v2, 'team/app', '1.0', { contents: ['base', 'app'] });
    await pushImage(v2, 'team/other', '1.0', { contents: ['base', 'other'] });
    const zstd = await pushImage(v2, 'team/zstd', '1.0', { contents: ['packed', 'zstd'], compression: 'zstd' });
    const child = await pushImage(v2, 'team/multi', undefined, { contents: ['base', 'child'] });
    const index = {
      schemaVersion: 2,
      mediaType: `${OCI}.index.v1+json`,
      manifests: [
        {
          mediaType: `${OCI}.manifest.v1+json`,
          digest: child.digest,
          size: child.sizeBytes,
          platform: { os: 'linux', architecture: 'amd64' },
        },
      ],
    };
    const pushedIndex = await v2.pushManifest('team/multi', '1.0', index);
    assert.equal(pushedIndex.status, 201);

    const empty = await v2.pushBlob('team/app', Buffer.from('{}'));
    const descriptor = { mediaType: 'application/vnd.oci.empty.v1+json', digest: empty.digest, size: 2 };
    const artifact = {
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      artifactType: 'application/vnd.example.sbom',
      config: descriptor,
      layers: [descriptor],
      subject: { mediaType: `${OCI}.manifest.v1+json`, digest: app.digest, size: app.sizeBytes },
    };
    const pushedArtifact = await v2.pushManifest('team/app', 'sbom', artifact);
    assert.equal(pushedArtifact.status, 201);

    const mounted = await v2.send('POST', `/v2/team/mounted/blobs/uploads/?mount=${empty.digest}&from=team/app`);
    assert.equal(mounted.status, 201);
    const holder = { ...artifact, subject: undefined };
    assert.equal((await v2.pushManifest('team/mounted', '1.0', holder)).status, 201);

    const bytes = randomBytes(5 * 2 ** 20);
    const patched = await v2.send('PATCH', await v2.start('team/big'), { body: new Blob([bytes]).stream() });
    const { digestOf, locationOf, withDigest } = await import('../../v2/client.ts');
    const big = digestOf(bytes);
    assert.equal((await v2.send('PUT', withDigest(locationOf(patched), big))).status, 201);
    const config = await v2.pushBlob('team/big', Buffer.from('{}'));
    const bigManifest = {
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      config: { ...descriptor, digest: config.digest },
      layers: [{ mediaType: 'application/octet-stream', digest: big, size: bytes.length }],
    };
    assert.equal((await v2.pushManifest('team/big', '1.0', bigManifest)).status, 201);
    await server.idle();

    const v1 = new V1Client(server.url);
    const chain = ubuntuChain();
    const top = chain.at(-1);
    assert.ok(top);
    await v1.push('team/v1', chain, { '1.0': top.id });
    assert.equal((await v2.send('GET', '/v2/team/v1/manifests/1.0')).status, 200);
    await v1.pull('team/app', '1.0');
    await v1.pull('team/multi', '1.0');
    await server.idle();
    if (old) {
      const { adoption } = registryOver(storage, v1Layers);
      await adoption.copyTwiceQuoted(await adoption.findTwiceQuoted());
      await adoption.run(await adoption.plan(), { layersAtOnce: 2 });
    }
    return {
      zstd: zstd.digest,
      app: app.digest,
      index: pushedIndex.headers.get('Docker-Content-Digest') ?? '',
      child: child.digest,
      referrer: pushedArtifact.headers.get('Docker-Content-Digest') ?? '',
      big,
    };
  } finally {
    await server.stop();
  }
}

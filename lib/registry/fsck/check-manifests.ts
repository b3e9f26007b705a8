import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { digestOf } from '../../model/content-digest.ts';
import { layout } from '../../model/layout.ts';
import { type ManifestDocument, parseManifest } from '../../model/manifest.ts';
import { algorithmOf, type Digest, hexOf } from '../../model/names.ts';
import { decodeStoredManifest } from '../condemned/condemned.ts';
import { isGone } from '../condemned/gone.ts';
import { readLink } from '../inventory/link-targets.ts';
import type { Referrers } from '../manifests/referrers.ts';
import type { Check } from './check.ts';
import type { RepositoryContent } from './check-repositories.ts';
import { relink } from './repairs.ts';

/** Manifests in memory at once. */
const BATCH = 64;

/** Reads and hashes the manifests of a repository. One storage request for each. */
export async function checkManifests(
  check: Check,
  referrers: Referrers,
  content: RepositoryContent,
  options: { allowsMissingChildren: boolean },
): Promise<void> {
  let batch: Digest[] = [];
  const checkBatch = async () => {
    await mapConcurrently(batch, (digest) => checkManifest(check, referrers, content, digest, options));
    batch = [];
  };
  for (const digest of content.manifests) {
    batch.push(digest);
    if (batch.length === BATCH) await checkBatch();
  }
  await checkBatch();
}

async function checkManifest(
  check: Check,
  referrers: Referrers,
  content: RepositoryContent,
  digest: Digest,
  { allowsMissingChildren }: { allowsMissingChildren: boolean },
): Promise<void> {
  const { repository } = content;
  const key = layout.manifest(repository, digest);
  const object = await check.storage.read(key);
  if (!object || isGone(object.bytes)) return;
  const { bytes } = decodeStoredManifest(object.bytes, digest);
  if (digestOf(bytes, algorithmOf(digest)) !== digest) {
    await check.findings.add('bad-manifest', key, `its ${bytes.length} bytes have another digest`);
    return;
  }
  let document: ManifestDocument;
  try {
    document = parseManifest(bytes);
  } catch (error) {
    await check.findings.add('bad-manifest', key, error instanceof Error ? error.message : String(error));
    return;
  }
  for (const blob of document.blobs) await checkBlob(check, content, digest, blob.digest);
  for (const child of document.manifests) {
    if (allowsMissingChildren || content.manifests.has(child.digest)) continue;
    await check.holdings.add(hexOf(child.digest), { kind: 'missing child', repository, index: digest });
  }
  const subject = document.subject?.digest;
  if (!subject || content.referrers.has(`${subject} ${digest}`)) return;
  const entry = layout.referrer(repository, subject, digest);
  const listed = await check.storage.read(entry);
  if (listed && !isGone(listed.bytes)) return;
  await check.findings.add('missing-referrer', key, `there is no ${entry}`, {
    action: 'write the entry',
    run: async () => {
      await referrers.add(repository, subject, { ...document, digest, sizeBytes: bytes.length });
      return true;
    },
  });
}

async function checkBlob(
  { storage, findings }: Check,
  { repository, links }: RepositoryContent,
  manifest: Digest,
  digest: Digest,
): Promise<void> {
  if (links.has(digest) || (await readLink(storage, repository, digest))) return;
  const key = layout.manifest(repository, manifest);
  if (!(await storage.head(key))) return;
  const gone = await storage.head(layout.blobLink(repository, digest));
  const repair = relink(storage, { repository, digest, ...(gone && { etag: gone.etag }) });
  await findings.add('missing-link', key, `${repository} has no link to ${digest}`, repair);
}

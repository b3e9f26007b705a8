import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { type Key, lastPartOf, layout } from '../../model/layout.ts';
import type { Digest, ImageId, RepositoryName } from '../../model/names.ts';
import { type DigestFolder, digestFolders } from '../inventory/digest-folders.ts';
import { type ResolvedLink, readLink, resolveLinks } from '../inventory/link-targets.ts';
import { joinWithSpill } from '../inventory/spill.ts';
import { readLayerDescriptor } from '../v1-images/layers.ts';
import { findProjectionRecord } from '../v1-images/projection-record.ts';
import type { Check, DigestUser } from './check.ts';
import { moveOldBytes } from './old-layout.ts';
import { condemnBytes, makeProjectionAgain, relinkOrRemove } from './repairs.ts';

/** Checks the links and bytes of each digest against each other. */
export async function checkBlobs(check: Check): Promise<void> {
  for await (const { name, group, records } of joinWithSpill(
    digestFolders(check.storage, check.unknown),
    check.digestUsers,
  )) {
    const digest = name.replace('/', ':') as Digest;
    for (const _ of group?.bytes ?? []) check.see(_);
    await checkDigest(check, digest, group, records);
  }
}

async function checkDigest(
  check: Check,
  digest: Digest,
  folder: DigestFolder | undefined,
  users: readonly DigestUser[],
): Promise<void> {
  const listed = users.filter((user) => user.kind === 'link');
  const links = await resolveLinks(check.storage, digest, folder, listed);
  if (folder?.plain) return await moveOldBytes(check, folder.plain, { digest, links, users });
  const used = new Set<Key>();
  await mapConcurrently(links, async (link) => {
    if (link.target) used.add(link.target.key);
    await checkLink(check, digest, folder, link);
  });
  for (const user of users)
    if (user.kind === 'marker') await checkMarker(check, digest, folder, user.image as ImageId, used);
  for (const bytes of folder?.bytes ?? []) {
    const { kind, key, uuid, sizeBytes, isMarked } = bytes;
    const isLinked = used.has(key);
    if (kind === 'pointer') await check.dataUsers.add(uuid, { kind, digest, sizeBytes, isMarked, isLinked });
    // Marked bytes are reported by the collector.
    else if (!isLinked && !isMarked && check.isOld(bytes.record)) await reportUnlinked(check, key, sizeBytes);
  }
  for (const mark of folder?.marksAlone ?? []) {
    if (check.isOld(mark)) await check.findings.add('leftover-mark', mark.key, 'the bytes that it marks are gone');
  }
}

async function reportUnlinked({ findings }: Check, key: Key, sizeBytes: number): Promise<void> {
  await findings.add('unlinked-bytes', key, `${sizeBytes} bytes that no link names`);
}

async function checkLink(
  check: Check,
  digest: Digest,
  folder: DigestFolder | undefined,
  { repository, etag, target }: ResolvedLink,
): Promise<void> {
  const { storage, findings } = check;
  const at = layout.blobLink(repository, digest);
  if (!target) {
    await findings.add('bad-link', at, 'it is no link', relinkOrRemove(storage, { repository, digest, etag }));
    return;
  }
  const { key, sizeBytes } = target;
  const bytes = folder?.bytes.find((one) => one.key === key);
  if (layout.isData(key)) {
    const hasPointer = bytes !== undefined;
    await check.dataUsers.add(lastPartOf(key), { kind: 'link', digest, sizeBytes, repository, hasPointer });
    return; // the listing of `oci/data/` decides
  }
  const stored = bytes ?? (await storage.head(key));
  if (stored?.sizeBytes === sizeBytes) return;
  await reportLink(check, { repository, digest, key, sizeBytes }, stored?.sizeBytes);
}

/** Reports a link to bytes that are gone, or have another size than it says, unless that has changed meanwhile. */
export async function reportLink(
  { storage, findings }: Check,
  { repository, digest, key, sizeBytes }: { repository: RepositoryName; digest: Digest; key: Key; sizeBytes: number },
  storedBytes: number | undefined,
): Promise<void> {
  const at = layout.blobLink(repository, digest);
  const [now, stored] = await Promise.all([readLink(storage, repository, digest), storage.head(key)]);
  if (now?.target?.key !== key || now.target.sizeBytes !== sizeBytes || stored?.sizeBytes === sizeBytes) return;
  const { etag } = now;
  const repair = relinkOrRemove(storage, { repository, digest, etag });
  if (storedBytes !== undefined && stored) {
    await findings.add('link-of-other-size', at, `it says ${sizeBytes} bytes, ${key} has ${stored.sizeBytes}`, repair);
    return;
  }
  await findings.add('dangling-link', at, `there is no ${key}`, {
    ...repair,
    run: async () => (await repair.run()) !== false,
  });
}

/** The layer of an image, whose marker says that it has this digest. */
async function checkMarker(
  check: Check,
  digest: Digest,
  folder: DigestFolder | undefined,
  image: ImageId,
  used: Set<Key>,
): Promise<void> {
  const { storage } = check;
  const stored = folder?.bytes ?? [];
  // A marker keeps all bytes of its digest.
  for (const { key } of stored) used.add(key);
  if (!check.readsObjects && stored.some(({ isMarked }) => !isMarked)) return;
  const layer = await readLayerDescriptor(storage, image);
  if (!layer || layer.digest !== digest) return; // a marker is written before the descriptor
  if (stored.some(({ key, kind }) => kind === 'copy' && key === layer.key)) return;
  if (await storage.head(layer.key)) return;
  const projection = await findProjectionRecord(storage, image);
  if (projection && !projection.isComplete) return; // it is made again
  await check.findings.add('missing-layer', layout.imageLayerDescriptor(image), `there is no ${layer.key}`, {
    action: 'make the projection again',
    run: () => makeProjectionAgain(storage, image),
  });
}

/** Checks what `oci/data/` holds against the pointers and links to it. */
export async function checkData(check: Check): Promise<void> {
  for await (const { name: uuid, group, records } of joinWithSpill(listData(check), check.dataUsers)) {
    const pointers = records.filter((record) => record.kind === 'pointer');
    const data = group?.object ?? (await check.storage.head(layout.data(uuid)));
    for (const { digest, sizeBytes, isMarked, isLinked } of pointers) {
      const pointer = layout.blobPointer(digest, uuid, sizeBytes);
      if (isMarked) continue;
      if (data?.sizeBytes === sizeBytes) {
        if (!isLinked && check.isOld(data)) await reportUnlinked(check, data.key, sizeBytes);
        continue;
      }
      if (!(await check.storage.head(pointer))) continue;
      const condemn = condemnBytes(check.storage, digest, uuid);
      if (!data) await check.findings.add('pointer-without-data', pointer, `there is no ${layout.data(uuid)}`, condemn);
      else
        await check.findings.add('pointer-of-other-size', pointer, `${data.key} has ${data.sizeBytes} bytes`, condemn);
    }
    for (const record of records) {
      if (record.kind !== 'link') continue;
      if (data?.sizeBytes !== record.sizeBytes) {
        await reportLink(check, { ...record, key: layout.data(uuid) }, data?.sizeBytes);
      }
    }
    const unnamed = records.find((record) => record.kind === 'link' && !record.hasPointer);
    if (data && unnamed && !pointers.some(({ digest }) => digest === unnamed.digest)) {
      const pointer = layout.blobPointer(unnamed.digest, uuid, data.sizeBytes);
      if (await check.storage.head(pointer)) continue;
      const kind = check.isOfLayout1 ? 'old-layout' : 'missing-pointer';
      await check.findings.add(kind, data.key, `a link names it, and there is no ${pointer}`, {
        action: `write ${pointer}`,
        run: async () => (await check.storage.put(pointer, new Uint8Array(), { ifAbsent: true })) !== undefined,
      });
    } else if (data && records.length === 0 && check.isOld(data)) {
      await check.findings.add('unnamed-data', data.key, `${data.sizeBytes} bytes without a pointer`);
    }
  }
}

const UUID = /^[a-f0-9-]{36}$/;

async function* listData(check: Check) {
  for await (const object of check.storage.list(layout.allData())) {
    check.see(object);
    const uuid = object.key.slice(layout.allData().length);
    if (UUID.test(uuid)) yield { name: uuid, object };
    else await check.unknown(object);
  }
}

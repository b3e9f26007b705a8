// Level (b): bytes in `oci/data/` that no pointer names, left by uploads that were never completed. Such bytes go by their age
// alone, once two runs the grace period apart have seen them.
import { type Key, lastPartOf, layout } from '../../model/layout.ts';
import type { ObjectInfo } from '../../storage/driver.ts';
import { reportWaiting } from './condemn.ts';
import { type CollectorRun, isOlderThan, isRipe, type Stage } from './stage.ts';

export class DataStage implements Stage {
  readonly name = 'data';

  async run(run: CollectorRun, cursor: string | undefined): Promise<void> {
    const { storage, report } = run;
    const seen = storage.list(
      layout.allUnnamedData(),
      cursor === undefined ? {} : { after: layout.unnamedData(cursor) },
    );
    const markers = seen[Symbol.asyncIterator]();
    let marker = await markers.next();
    const dropMarker = async ({ key }: ObjectInfo) => {
      await storage.delete(key);
      report.did('remove', 'collector', key, { reason: 'its data is gone or has a pointer' });
    };
    const options = cursor === undefined ? {} : { after: layout.data(cursor) };
    for await (const info of storage.list(layout.allData(), options)) {
      report.listed();
      const uuid = lastPartOf(info.key);
      // Both listings are in the order of uuids.
      while (!marker.done && lastPartOf(marker.value.key) < uuid) {
        await dropMarker(marker.value);
        marker = await markers.next();
      }
      const own = !marker.done && lastPartOf(marker.value.key) === uuid ? marker.value : undefined;
      if (own) marker = await markers.next();
      await this.#collect(run, info, { uuid, seen: own, dropMarker });
      await run.checkpoint(uuid);
    }
    for (; !marker.done; marker = await markers.next()) await dropMarker(marker.value);
  }

  async #collect(
    run: CollectorRun,
    { key, sizeBytes: bytes, lastModified }: ObjectInfo,
    {
      uuid,
      seen,
      dropMarker,
    }: { uuid: string; seen: ObjectInfo | undefined; dropMarker: (marker: ObjectInfo) => Promise<void> },
  ): Promise<void> {
    const { storage, report, times } = run;
    if (layout.data(uuid) !== key) return report.unknown(key);
    if (run.filters.pointers.has(uuid)) {
      report.kept('unnamed data', 'a pointer names it');
      if (seen) await dropMarker(seen);
      return;
    }
    // On AWS the time of an object of parts is that of its first request.
    if (!isOlderThan(run, lastModified, times.minAgeMs))
      return report.kept('unnamed data', 'young: an upload may be under way');
    if (!seen) {
      await storage.put(layout.unnamedData(uuid), new Uint8Array(), { ifAbsent: true });
      return report.did('mark', 'unnamed data', key, { bytes, reason: 'no pointer names it' });
    }
    if (!isRipe(run, seen.lastModified)) return reportWaiting(run, 'unnamed data');
    await storage.delete(key);
    await storage.delete(seen.key);
    report.did('remove', 'unnamed data', key, { bytes, reason: 'no pointer names it' });
  }
}

/** What unfinished uploads have left in `oci/uploads/`: a session lives for a day, so older objects are of no use. */
export class ScrapsStage implements Stage {
  readonly name = 'scraps';

  async run(run: CollectorRun, cursor: string | undefined): Promise<void> {
    const options = cursor === undefined ? {} : { after: layout.uploadScrap(cursor) };
    for await (const { key, sizeBytes, lastModified } of run.storage.list(layout.uploadScraps(), options)) {
      run.report.listed();
      if (isOlderThan(run, lastModified, run.times.minAgeMs)) await this.#remove(run, key, sizeBytes);
      else run.report.kept('scrap', 'young: an upload may be under way');
      await run.checkpoint(lastPartOf(key));
    }
  }

  async #remove(run: CollectorRun, key: Key, bytes: number): Promise<void> {
    await run.storage.delete(key);
    run.report.did('remove', 'scrap', key, { bytes, reason: 'its upload has expired' });
  }
}

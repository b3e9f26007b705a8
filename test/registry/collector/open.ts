import { MemoryStorage } from '../../storage/memory.ts';
import { openFiles, openS3 } from '../../storage/open.ts';
import { Bucket } from './bucket.ts';

type Suite = (name: string, open: () => Promise<{ bucket: Bucket; close(): Promise<void> }>) => void;

const SCALED = { graceMs: 150, lookMs: 60, minAgeMs: 200, oldWritersMs: 90 };

/** Runs a suite on storage in memory, which has the real times, and on files, with times that are scaled alike. */
export function onMemoryAndFiles(suite: Suite): void {
  const close = async () => undefined;
  suite('S3 in memory', async () => ({ bucket: await Bucket.inMemory(), close }));
  suite('S3 in memory without conditional deletes', async () => ({
    bucket: await Bucket.inMemory(new MemoryStorage({ honorsDeleteConditions: false })),
    close,
  }));
  suite('files', async () => {
    const { driver, close } = await openFiles();
    return { bucket: await Bucket.scaled(driver, SCALED, 20), close };
  });
}

/** MinIO ignores the condition of a DELETE, so objects are removed by the gone form; it tells times to the second. */
export function onMinio(suite: Suite): void {
  suite('MinIO', async () => {
    const { driver, close } = await openS3();
    return {
      bucket: await Bucket.scaled(driver, { ...SCALED, graceMs: 2500, lookMs: 2000, minAgeMs: 1200 }, 1100),
      close,
    };
  });
}

import { MemoryStorage } from '../../storage/memory.ts';
import { openFiles, openS3 } from '../../storage/open.ts';
import { Bucket } from './bucket.ts';

export type OpenBucket = () => Promise<{ bucket: Bucket; close(): Promise<void> }>;
type Suite = (name: string, open: OpenBucket) => void;

export function onMemoryAndFiles(suite: Suite): void {
  const close = async () => undefined;
  suite('S3 in memory', async () => ({ bucket: await Bucket.inMemory(), close }));
  suite('S3 in memory without conditional deletes', async () => ({
    bucket: await Bucket.inMemory(new MemoryStorage({ honorsDeleteConditions: false })),
    close,
  }));
  suite('files', async () => {
    const { driver, close } = await openFiles();
    return { bucket: await Bucket.withClock(driver), close };
  });
}

/** MinIO ignores the condition of a DELETE, so objects are removed by the gone form. */
export function onMinio(suite: Suite): void {
  suite('MinIO', async () => {
    const { driver, close } = await openS3();
    return { bucket: await Bucket.withClock(driver), close };
  });
}

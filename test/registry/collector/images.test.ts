import { MemoryStorage } from '../../storage/memory.ts';
import { openFiles } from '../../storage/open.ts';
import { Bucket } from './bucket.ts';
import { imagesSuite } from './images.ts';

const SCALED = { graceMs: 400, lookMs: 300, minAgeMs: 300, oldWritersMs: 90 };

const close = async () => undefined;

imagesSuite('S3 in memory', async () => ({ bucket: await Bucket.inMemory(), close }));
imagesSuite('S3 in memory without conditional deletes', async () => ({
  bucket: await Bucket.inMemory(new MemoryStorage({ honorsDeleteConditions: false })),
  close,
}));
imagesSuite('files', async () => {
  const { driver, close } = await openFiles();
  return { bucket: await Bucket.scaled(driver, SCALED, 20), close };
});

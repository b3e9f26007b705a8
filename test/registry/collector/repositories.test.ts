import { MemoryStorage } from '../../storage/memory.ts';
import { openFiles } from '../../storage/open.ts';
import { Bucket } from './bucket.ts';
import { repositoriesSuite } from './repositories.ts';

const SCALED = { graceMs: 150, lookMs: 60, minAgeMs: 100, oldWritersMs: 90 };

const close = async () => undefined;

repositoriesSuite('S3 in memory', async () => ({ bucket: await Bucket.inMemory(), close }));
repositoriesSuite('S3 in memory without conditional deletes', async () => ({
  bucket: await Bucket.inMemory(new MemoryStorage({ honorsDeleteConditions: false })),
  close,
}));
repositoriesSuite('files', async () => {
  const { driver, close } = await openFiles();
  return { bucket: await Bucket.scaled(driver, SCALED, 20), close };
});

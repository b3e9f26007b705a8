import { openS3 } from '../../storage/open.ts';
import { Bucket } from './bucket.ts';
import { repositoriesSuite } from './repositories.ts';

const SCALED = { graceMs: 300, lookMs: 100, minAgeMs: 200, oldWritersMs: 90 };

// MinIO ignores the condition of a DELETE, so objects are removed by the gone form.
repositoriesSuite('MinIO', async () => {
  const { driver, close } = await openS3();
  return { bucket: await Bucket.scaled(driver, SCALED, 1100), close };
});

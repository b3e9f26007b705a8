import { MemoryStorage } from '../../storage/memory.ts';
import { projectionRequestsSuite } from './requests.ts';

projectionRequestsSuite('S3 in memory', async () => {
  const storage = new MemoryStorage();
  const requests = () =>
    Object.entries(storage.requests).flatMap(([method, count]) => new Array<string>(count).fill(method));
  const clear = () => {
    for (const method of Object.keys(storage.requests)) storage.requests[method] = 0;
  };
  return { driver: storage, requests, clear };
});

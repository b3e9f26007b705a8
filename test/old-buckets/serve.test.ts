import { openFiles } from '../storage/open.ts';
import { serveOldBucketSuite } from './serve.ts';

serveOldBucketSuite('files', openFiles);

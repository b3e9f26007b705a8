import { openS3 } from '../../storage/open.ts';
import { movesSuite } from './moves.ts';
import { restoreSuite } from './restores.ts';

for (const suite of [movesSuite, restoreSuite]) suite('S3', openS3);

import { openS3 } from '../storage/open.ts';
import { deleteSuite } from './deletes.ts';
import { markedBytesSuite } from './marked-bytes.ts';
import { replaySuite } from './replays.ts';
import { leftoversSuite } from './tags/leftovers.ts';
import { resolveTagsSuite } from './tags/resolve-tags.ts';
import { writeOnceSuite } from './write-once.ts';

markedBytesSuite('s3', openS3);
for (const suite of [writeOnceSuite, replaySuite, deleteSuite, leftoversSuite, resolveTagsSuite]) suite('s3', openS3);

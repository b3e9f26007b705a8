import { openFiles } from '../storage/open.ts';
import { deleteSuite } from './deletes.ts';
import { markedBytesSuite } from './marked-bytes.ts';
import { replaySuite } from './replays.ts';
import { leftoversSuite } from './tags/leftovers.ts';
import { resolveTagsSuite } from './tags/resolve-tags.ts';
import { writeOnceSuite } from './write-once.ts';

for (const suite of [writeOnceSuite, replaySuite, markedBytesSuite, deleteSuite, leftoversSuite, resolveTagsSuite])
  suite('files', openFiles);

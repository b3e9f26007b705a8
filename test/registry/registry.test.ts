import { openFiles } from '../storage/open.ts';
import { condemnedSuite } from './condemned.ts';
import { deleteSuite } from './deletes.ts';
import { replaySuite } from './replays.ts';
import { leftoversSuite } from './tags/leftovers.ts';
import { resolveTagsSuite } from './tags/resolve-tags.ts';
import { writeOnceSuite } from './write-once.ts';

for (const suite of [writeOnceSuite, replaySuite, condemnedSuite, deleteSuite, leftoversSuite, resolveTagsSuite])
  suite('files', openFiles);

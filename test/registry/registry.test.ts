import { openFiles } from '../storage/open.ts';
import { condemnedSuite } from './condemned.ts';
import { deleteSuite } from './deletes.ts';
import { leftoversSuite } from './leftovers.ts';
import { replaySuite } from './replays.ts';
import { tagTargetsSuite } from './tag-targets.ts';
import { writeOnceSuite } from './write-once.ts';

for (const suite of [writeOnceSuite, replaySuite, condemnedSuite, deleteSuite, leftoversSuite, tagTargetsSuite])
  suite('files', openFiles);

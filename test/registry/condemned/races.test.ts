import { openFiles } from '../../storage/open.ts';
import { racesSuite } from './races.ts';

for (const removal of ['DELETE', 'gone form'] as const) {
  racesSuite('files', openFiles, removal);
}

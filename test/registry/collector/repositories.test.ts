import { onMemoryAndFiles } from './open.ts';
import { repositoriesSuite } from './repositories.ts';

onMemoryAndFiles(repositoriesSuite);

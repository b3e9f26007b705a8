import { openFiles } from '../../storage/open.ts';
import { usageSuite } from './usage.ts';

usageSuite('files', openFiles);

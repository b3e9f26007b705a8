import { openFiles } from '../../storage/open.ts';
import { immutableTagsSuite } from './immutable-tags.ts';

immutableTagsSuite('files', openFiles);

import { openFiles } from '../storage/open.ts';
import { secretRepositorySuite } from './secret-repository.ts';

secretRepositorySuite('files', openFiles);

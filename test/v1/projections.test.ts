import { openFiles } from '../storage/open.ts';
import { projectionSuite } from './projections.ts';

projectionSuite('files', openFiles);

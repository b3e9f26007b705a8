import { openFiles } from '../../storage/open.ts';
import { imageCellSuite } from './image-cell.ts';

imageCellSuite('files', openFiles);

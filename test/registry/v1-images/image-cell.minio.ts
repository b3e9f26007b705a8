import { openS3 } from '../../storage/open.ts';
import { imageCellSuite } from './image-cell.ts';

imageCellSuite('s3', openS3);

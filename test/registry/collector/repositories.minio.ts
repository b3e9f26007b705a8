import { onMinio } from './open.ts';
import { repositoriesSuite } from './repositories.ts';

onMinio(repositoriesSuite);

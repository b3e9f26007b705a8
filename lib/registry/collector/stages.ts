import { BytesStage } from './bytes-stage.ts';
import { DataStage, ScrapsStage } from './data-stage.ts';
import { ImageReferencesStage } from './image-references-stage.ts';
import { RepositoriesStage, type RepositoriesStageOptions } from './repositories-stage.ts';
import type { Stage } from './stage.ts';

/** The stages of a run, in order: what names bytes goes before the bytes. */
export function collectorStages(options: RepositoriesStageOptions): Stage[] {
  return [
    new RepositoriesStage(options),
    new ImageReferencesStage(),
    new BytesStage(),
    new DataStage(),
    new ScrapsStage(),
  ];
}

import type { OldBucket } from './generator.ts';
import type { OldImage } from './images.ts';

/** The files that a container of the image has, by path without a leading slash: its layers from the base up, whiteouts applied. */
export function filesOfImage({ images }: OldBucket, id: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const ancestor of images.get(id)?.ancestry.toReversed() ?? []) {
    for (const [path, content] of filesOfLayer(images.get(ancestor))) {
      const slash = path.lastIndexOf('/') + 1;
      const name = path.slice(slash);
      if (name.startsWith('.wh.')) files.delete(path.slice(0, slash) + name.slice('.wh.'.length));
      else files.set(path, content);
    }
  }
  return files;
}

function filesOfLayer(image: OldImage | undefined): [path: string, content: Uint8Array][] {
  return (image?.layer.entries ?? []).flatMap(({ path, content }) =>
    content ? [[path.replace(/^\.\//, ''), content]] : [],
  );
}

import { type ImageObject, type Key, layout, parseImageObject } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { Look } from '../condemned/look.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../condemned/times.ts';
import { listedCell, lookAtImage, type SeenImage } from './image-cell.ts';
import { isProjection } from './projection-record.ts';

/** The keys of one listing request. */
const PAGE = 1000;

const PUSH_RECORDS: readonly ImageObject['kind'][] = [
  'grant',
  'outdated grant',
  'pusher',
  'pending push',
  'layer descriptor',
  'conversion',
];

/** Looks at v1 images for writers, before they write objects of an image or a tag that leads to it. */
export class ImageLooks {
  readonly #storage: StorageDriver;
  readonly #times: CollectionTimes;

  /** @param times other than the defaults in tests only */
  constructor(storage: StorageDriver, times = COLLECTION_TIMES) {
    this.#storage = storage;
    this.#times = times;
  }

  /** Begins a look. */
  start(): Look {
    return new Look(this.#times);
  }

  /**
   * Looks at an image; one that is condemned is live afterwards. One LIST, and two more requests if the image is condemned. Up to
   * three more if it has a thousand records.
   * @throws RegistryError UNAVAILABLE if the collector is removing the image
   */
  async at(id: ImageId): Promise<SeenImage> {
    const look = this.start();
    const { objects, last } = await this.#listRecords(id);
    await lookAtImage(this.#storage, id, { look, ...listedCell(id, objects.get(layout.imageCell(id)), last) });
    const seen: SeenImage = {
      look,
      isProjection: false,
      hasRecord: false,
      hasDescriptor: objects.has(layout.imageLayerDescriptor(id)),
      descriptions: [],
      manifestGrants: [],
      hasPushRecords: false,
    };
    for (const { key } of objects.values()) addRecord(seen, key);
    if (last !== undefined && last < layout.projectionRecord(id)) {
      seen.hasRecord = (await this.#storage.head(layout.projectionRecord(id))) !== undefined;
      seen.isProjection = seen.hasRecord || (await isProjection(this.#storage, id));
    }
    return seen;
  }

  /** The first 1,000 records. @returns as `last` the last key that was read; `undefined` if that was the end */
  async #listRecords(id: ImageId): Promise<{ objects: Map<Key, ObjectInfo>; last?: Key }> {
    const objects = new Map<Key, ObjectInfo>();
    for await (const object of this.#storage.list(layout.imageRecords(id))) {
      objects.set(object.key, object);
      if (objects.size === PAGE) return { objects, last: object.key };
    }
    return { objects };
  }
}

function addRecord(seen: SeenImage, key: Key): void {
  const record = parseImageObject(key);
  if (record?.kind === 'projection') {
    seen.isProjection = true;
    seen.hasRecord = true;
  } else if (record?.kind === 'grant' && record.grant.imageKind === 'projection') {
    const { repository, by, content } = record.grant;
    if (!Array.isArray(by)) return;
    seen.manifestGrants.push({ repository, by });
    if (!content) return;
    seen.isProjection = true;
    seen.descriptions.push({ key, repository, by, content });
  } else if (record && PUSH_RECORDS.includes(record.kind)) seen.hasPushRecords = true;
}

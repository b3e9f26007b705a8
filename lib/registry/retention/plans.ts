import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { RegistryError } from '../../model/errors.ts';
import { layout } from '../../model/layout.ts';
import { AS_JSON, type Condition, type ETag, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import {
  encodeTags,
  isPlanId,
  type PlannedTag,
  type PlanRecord,
  parsePlanRecord,
  planIdOf,
  readTags,
} from './plan-record.ts';

export type StoredPlan = { record: PlanRecord; etag: ETag };

/** The plans in storage. */
export class Plans {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** The records of all plans, oldest first. One storage request per 500 plans, and one for each. */
  async list(): Promise<PlanRecord[]> {
    const ids: string[] = [];
    for await (const { key } of this.#storage.list(layout.retentionPlans())) {
      const id = planIdOf(key);
      if (id !== undefined) ids.push(id);
    }
    const records = await mapConcurrently(ids, (id) => this.#find(id));
    return records.flatMap((found) => (found ? [found.record] : []));
  }

  /** One storage request. @throws RegistryError PLAN_UNKNOWN */
  async read(id: string): Promise<StoredPlan> {
    const found = await this.#find(id);
    if (!found) throw new RegistryError('PLAN_UNKNOWN', `there is no plan ${JSON.stringify(id.slice(0, 100))}`);
    return found;
  }

  async #find(id: string): Promise<StoredPlan | undefined> {
    if (!isPlanId(id)) return undefined;
    const key = layout.retentionPlan(id);
    const object = await this.#storage.read(key);
    return object && { record: parsePlanRecord(object.bytes, key), etag: object.info.etag };
  }

  /** The tags of a plan, in the order of their repositories. One storage request. */
  tagsOf({ id }: Pick<PlanRecord, 'id'>): AsyncIterable<PlannedTag> {
    return readTags(this.#storage, id);
  }

  /**
   * Stores the record of a plan. One storage request.
   * @returns `undefined` if the condition does not hold
   */
  async write(record: PlanRecord, condition: Condition = {}): Promise<ETag | undefined> {
    const bytes = encodeText(`${JSON.stringify(record, null, 2)}\n`);
    return await this.#storage.put(layout.retentionPlan(record.id), bytes, { ...AS_JSON, ...condition });
  }

  /** Stores the tags of a plan as they come. One storage request; several above the size of a part. */
  async writeTags(id: string, tags: AsyncIterable<PlannedTag>): Promise<void> {
    await this.#storage.putStream(layout.retentionPlanTags(id), encodeTags(tags), { contentType: 'application/jsonl' });
  }

  /** When storage last wrote the record, by its own clock. One storage request. */
  async writtenAt(id: string): Promise<Date> {
    const key = layout.retentionPlan(id);
    const written = await this.#storage.head(key);
    if (!written) throw new Error(`${key} was removed while the plan was made`);
    return written.lastModified;
  }

  /** Deletes plans that were last written before `oldestMs`. One storage request per 500 plans, two for each that is deleted. */
  async prune(oldestMs: number): Promise<void> {
    for await (const { key, lastModified } of this.#storage.list(layout.retentionPlans())) {
      if (lastModified.getTime() < oldestMs) await this.#storage.delete(key);
    }
  }
}

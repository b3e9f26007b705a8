// `oci/gc/state.json`: the run of the collector that is under way or was the last one, with its position. It is written by
// compare-and-swap alone.
import { isJsonObject, type JsonValue, parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import { AS_JSON, type ETag, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { ReportDocument } from './report.ts';
import type { RunFilters } from './stage.ts';

/** A run that has ended. Times are RFC 3339. */
export type EndedRun = { run: string; startedAt: string; endedAt: string; report: ReportDocument };

export type CollectorState = {
  run: string;
  /** Names the process that works on the run; absent if none does. Another process takes the run over by writing its own. */
  holder?: string;
  /** RFC 3339. Absent in the first write of a run, whose LastModified it is. */
  startedAt?: string;
  /** The stage that runs; absent in the first write. */
  stage?: string;
  /** The position of the stage. */
  cursor?: string;
  /** The uuids of what the run has stored of its memory; a part without content has none. */
  parts: Partial<Record<keyof RunFilters | 'copies', string>>;
  /** What a run leaves to the next one, such as the sizes of its filters. */
  notes: Record<string, string>;
  report?: ReportDocument;
  /** RFC 3339, by the clock of the process. Present once all stages have ended. */
  endedAt?: string;
  /** The last complete run before this one. */
  last?: EndedRun;
};

export type StoredState = { state: CollectorState; etag: ETag; lastModified: Date };

/** One storage request. `undefined` if no run has begun; a state that cannot be read counts as one that has ended. */
export async function readState(storage: StorageDriver): Promise<StoredState | undefined> {
  const object = await storage.read(layout.collectorState());
  if (!object) return undefined;
  const { etag, lastModified } = object.info;
  return { state: decode(parseJson(object.bytes)), etag, lastModified };
}

/**
 * Writes the state if it is still the one that was read or written. One storage request.
 * @returns its ETag; `undefined` if another process has written it
 */
export async function writeState(
  storage: StorageDriver,
  state: CollectorState,
  before: ETag | undefined,
): Promise<ETag | undefined> {
  const condition = before === undefined ? { ifAbsent: true } : { ifMatch: before };
  return await storage.put(layout.collectorState(), encodeText(JSON.stringify(state)), { ...AS_JSON, ...condition });
}

function decode(value: JsonValue | undefined): CollectorState {
  const isState = isJsonObject(value) && typeof value.run === 'string';
  if (isState && isJsonObject(value.parts) && isJsonObject(value.notes)) return value as unknown as CollectorState;
  return { run: '', parts: {}, notes: {}, endedAt: new Date(0).toISOString() };
}

/** The run that a state describes, if it has ended; else the one before. */
export function lastEnded({ run, startedAt, endedAt, report, last }: CollectorState): EndedRun | undefined {
  return startedAt !== undefined && endedAt !== undefined && report ? { run, startedAt, endedAt, report } : last;
}

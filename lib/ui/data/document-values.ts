// Values of documents that others made: of any shape, until looked at.
import type { JsonValue } from '../../model/json.ts';
import type { Selection } from '../../model/json-scanner.ts';

/** Longer texts are cut: they are names, not prose. */
const MAX_CHARACTERS = 300;

export function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_CHARACTERS) : undefined;
}

export function listOf(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : [];
}

/** Absent for the words that SPDX has for what is not known. */
export function known(text: string | undefined): string | undefined {
  return text === 'NOASSERTION' || text === 'NONE' ? undefined : text;
}

/** Selects a text. */
export function takeText(take: (text: string) => void): Selection {
  return {
    take: (value) => {
      const text = textOf(value);
      if (text !== undefined) take(text);
    },
  };
}

/** Selects fields of an object, which may hold objects that are selected in the same way. Its fields may be added to. */
export function recordOf(
  names: readonly string[],
  onRecord: (record: Record<string, JsonValue | undefined>) => void,
): Selection & { fields: Map<string, Selection> } {
  const open: Record<string, JsonValue | undefined>[] = [];
  const take = (name: string): Selection => ({
    take: (value) => {
      const record = open.at(-1);
      if (record) record[name] = value;
    },
  });
  return {
    begin: () => {
      open.push({});
    },
    end: () => {
      const record = open.pop();
      if (record) onRecord(record);
    },
    fields: new Map(names.map((name) => [name, take(name)])),
  };
}

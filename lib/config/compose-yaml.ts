// Composes nodes from js-yaml's events. Each node knows its line, which error messages name.
import { EVENT_ID, type Event, getScalarValue, parseEvents, SCALAR_STYLE } from 'js-yaml';
import { isMap, isScalar, lineOf, placeAt, type Scalar, YamlError, type YamlMap, type YamlNode } from './yaml-nodes.ts';

/** Nested aliases can expand a few lines to gigabytes. A real configuration has a few hundred values. */
const MAX_NODES = 100_000;
const MAX_DEPTH = 100;

const YAML_TAG = 'tag:yaml.org,2002:';
/** Accepted tags: the type of a scalar follows from its key, so they change nothing. */
const SCALAR_TAGS: Readonly<Record<string, boolean>> = { str: false, null: true, bool: true, int: true, float: true };

type CollectionEvent = Extract<Event, { type: typeof EVENT_ID.SEQUENCE | typeof EVENT_ID.MAPPING }>;
type ScalarEvent = Extract<Event, { type: typeof EVENT_ID.SCALAR }>;

/** A node with the number of nodes in it, itself included. */
type Sized = { node: YamlNode; size: number };

/** The documents of a text. @throws YAMLException; YamlError */
export function composeYaml(text: string): YamlNode[] {
  return new Composer(text, parseEvents(text, { maxDepth: MAX_DEPTH })).documents();
}

class Composer {
  readonly #text: string;
  readonly #events: readonly Event[];
  readonly #lineStarts: number[];
  #next = 0;
  #nodes = 0;
  /** `undefined` while the node of an anchor is being read. */
  #anchors = new Map<string, Sized | undefined>();

  constructor(text: string, events: readonly Event[]) {
    this.#text = text;
    this.#events = events;
    this.#lineStarts = [0, ...[...text.matchAll(/\r\n|\n|\r/g)].map(({ index, 0: end }) => index + end.length)];
  }

  documents(): YamlNode[] {
    const documents: YamlNode[] = [];
    while (this.#next < this.#events.length) {
      this.#next++; // the document's beginning
      this.#anchors = new Map();
      const content = this.#peek().type === EVENT_ID.POP ? undefined : this.#node();
      documents.push(content?.node ?? placeAt({ text: '', isPlain: true }, undefined));
      this.#next++; // its end
    }
    return documents;
  }

  #peek(): Event {
    const event = this.#events[this.#next];
    if (!event) throw new YamlError('the text ends too early', undefined);
    return event;
  }

  #node(): Sized {
    const event = this.#peek();
    this.#next++;
    switch (event.type) {
      case EVENT_ID.SCALAR:
        return this.#count(this.#anchored(event, () => ({ node: this.#scalar(event), size: 1 })));
      case EVENT_ID.SEQUENCE:
        return this.#count(this.#anchored(event, () => this.#list(event)));
      case EVENT_ID.MAPPING:
        return this.#count(this.#anchored(event, () => this.#map(event)));
      case EVENT_ID.ALIAS:
        return this.#alias(event);
      default:
        throw new YamlError('the text ends too early', undefined);
    }
  }

  #anchored(event: ScalarEvent | CollectionEvent, read: () => Sized): Sized {
    if (event.anchorStart < 0) return read();
    const name = this.#text.slice(event.anchorStart, event.anchorEnd);
    this.#anchors.set(name, undefined);
    const sized = read();
    this.#anchors.set(name, sized);
    return sized;
  }

  /** A shallow copy, so that the alias has a line of its own. */
  #alias({ anchorStart, anchorEnd }: { anchorStart: number; anchorEnd: number }): Sized {
    const name = this.#text.slice(anchorStart, anchorEnd);
    const line = this.#lineAt(anchorStart);
    if (!this.#anchors.has(name)) throw new YamlError('unknown alias (quote a text that begins with "*")', line);
    const target = this.#anchors.get(name);
    if (!target) throw new YamlError('a list or map cannot hold itself', line);
    this.#nodes += target.size;
    this.#checkNodes(line);
    return { node: placeAt(copyOf(target.node), line), size: target.size };
  }

  #count(sized: Sized): Sized {
    this.#nodes++;
    this.#checkNodes(undefined);
    return sized;
  }

  #checkNodes(line: number | undefined): void {
    if (this.#nodes > MAX_NODES) throw new YamlError(`its aliases expand to more than ${MAX_NODES} values`, line);
  }

  #scalar(event: ScalarEvent): Scalar {
    const text = getScalarValue(this.#text, event);
    const tag = this.#tagOf(event);
    const line = this.#lineAt(event.valueStart);
    const isPlain = tag === undefined ? event.style === SCALAR_STYLE.PLAIN : tag === '!' ? false : SCALAR_TAGS[tag];
    if (isPlain === undefined) throw new YamlError('this tag is not allowed (quote a text that begins with "!")', line);
    return placeAt({ text, isPlain }, line);
  }

  #list(event: CollectionEvent): Sized {
    this.#checkTag(event, 'seq');
    const items: YamlNode[] = [];
    let size = 1;
    while (this.#peek().type !== EVENT_ID.POP) {
      const item = this.#node();
      items.push(item.node);
      size += item.size;
    }
    this.#next++;
    return { node: placeAt(items, this.#lineAt(event.start)), size };
  }

  /** An explicit key takes precedence over one merged by `<<`, independent of order; of several sources the first does. */
  #map(event: CollectionEvent): Sized {
    this.#checkTag(event, 'map');
    const written = new Map<string, YamlNode>();
    const merged: YamlMap[] = [];
    const order: string[] = [];
    let size = 1;
    while (this.#peek().type !== EVENT_ID.POP) {
      const line = this.#lineOf(this.#peek());
      const key = this.#node().node;
      if (!isScalar(key)) throw new YamlError('a key must be a text', line);
      const value = this.#node();
      size += value.size;
      if (key.isPlain && key.text === '<<') {
        merged.push(...sourcesOf(value.node, line));
        continue;
      }
      if (written.has(key.text)) {
        const first = lineOf(written.get(key.text));
        throw new YamlError(`${shownKey(key.text)} is written twice (first in line ${first}; keep one of them)`, line);
      }
      order.push(key.text);
      written.set(key.text, placeAt(value.node, line));
    }
    this.#next++;
    const map = new Map<string, YamlNode>();
    for (const source of merged) {
      this.#nodes += source.size;
      this.#checkNodes(this.#lineAt(event.start));
      for (const [name, value] of source) if (!map.has(name)) map.set(name, value);
    }
    for (const name of order) map.set(name, written.get(name) ?? placeAt({ text: '', isPlain: true }, undefined));
    return { node: placeAt(map, this.#lineAt(event.start)), size };
  }

  #checkTag(event: CollectionEvent, name: string): void {
    const tag = this.#tagOf(event);
    if (tag === undefined || tag === '!' || tag === name) return;
    throw new YamlError('this tag is not allowed', this.#lineAt(event.start));
  }

  /** The name of a standard YAML tag, `!` for the non-specific tag, `''` for any other. @throws YamlError */
  #tagOf({ tagStart, tagEnd }: ScalarEvent | CollectionEvent): string | undefined {
    if (tagStart < 0) return undefined;
    const raw = this.#text.slice(tagStart, tagEnd);
    if (raw === '!') return raw;
    const long = raw.startsWith('!!') ? `!<${YAML_TAG}${raw.slice(2)}>` : raw;
    const name = long.startsWith(`!<${YAML_TAG}`) ? long.slice(2 + YAML_TAG.length, -1) : '';
    if (/^(?:js|python|ruby)\/[\w/.:-]*$/.test(name)) {
      const problem = `the tag !!${name} is not allowed (it makes objects of a program)`;
      throw new YamlError(problem, this.#lineAt(tagStart));
    }
    return name;
  }

  #lineOf(event: Event): number | undefined {
    if ('valueStart' in event) return this.#lineAt(event.valueStart);
    if ('start' in event) return this.#lineAt(event.start);
    return 'anchorStart' in event ? this.#lineAt(event.anchorStart) : undefined;
  }

  /** Counted from 1. */
  #lineAt(position: number): number | undefined {
    if (position < 0) return undefined;
    let [low, high] = [0, this.#lineStarts.length];
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= position) low = middle;
      else high = middle;
    }
    return low + 1;
  }
}

function sourcesOf(node: YamlNode, line: number | undefined): readonly YamlMap[] {
  const sources = Array.isArray(node) ? node : [node];
  if (sources.every(isMap)) return sources;
  throw new YamlError('"<<" takes a map, or a list of maps', line);
}

function copyOf(node: YamlNode): YamlNode {
  if (isMap(node)) return new Map(node);
  return isScalar(node) ? { ...node } : [...node];
}

/** A wrongly indented secret may be read as a key, so a message shows only keys that look like names. */
function shownKey(text: string): string {
  return /^[a-z][a-z_-]{0,30}$/i.test(text) ? `the key ${text}` : 'this key';
}

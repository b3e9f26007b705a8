// YAML 1.1 as docker-registry read it, but safe, and with the text of every scalar kept: its type is decided by the key
// it stands for. So a secret of digits stays a text, and `yes` is a boolean only where a boolean is wanted.
import {
  boolYaml11Tag,
  defineMappingTag,
  defineScalarTag,
  floatYaml11Tag,
  intYaml11Tag,
  loadAll,
  mergeTag,
  NOT_RESOLVED,
  nullYaml11Tag,
  Schema,
  seqTag,
  YAMLException,
} from 'js-yaml';

export type Scalar = {
  readonly text: string;
  /** Written without quotes: `null`, `yes` or `5000` may mean more than their text. */
  readonly isPlain: boolean;
  /** The text is that of an environment variable, or the default beside its name; YAML that nobody has parsed yet. */
  readonly variable?: { readonly name: string; readonly isDefault: boolean };
};
export type YamlMap = ReadonlyMap<string, YamlNode>;
export type YamlNode = Scalar | readonly YamlNode[] | YamlMap;

/** Not YAML, or YAML that is not allowed here. The message never holds a value. */
export class YamlError extends Error {
  override readonly name = 'YamlError';
}

const NULL: Scalar = { text: '', isPlain: true };

type MapUnderConstruction = { map: Map<string, YamlNode>; written: Set<string> };

const plain = (text: string): Scalar => ({ text, isPlain: true });
const quoted = (text: string): Scalar => ({ text, isPlain: false });

/** js-yaml hands over `! text` as a string, past our tags. */
const asNode = (value: unknown) => (typeof value === 'string' ? quoted(value) : value) as YamlNode;

const mapTag = defineMappingTag<MapUnderConstruction, YamlMap>('tag:yaml.org,2002:map', {
  create: () => ({ map: new Map(), written: new Set() }),
  // Written keys arrive as scalars, those of `<<` as strings: a written key wins, wherever it stands.
  addPair({ map, written }, key, value) {
    const name = typeof key === 'string' ? key : isScalar(key) ? key.text : undefined;
    if (name === undefined) return 'a key must be a text';
    if (typeof key !== 'string') {
      if (written.has(name)) return 'this key is written twice';
      written.add(name);
    }
    map.set(name, asNode(value));
    return '';
  },
  has: ({ map }, key) => typeof key === 'string' && map.has(key),
  keys: (map) => map.keys(),
  get: (map, key) => map.get(String(key)),
  finalize: ({ map }) => map,
  identify: () => false,
});

const listTag: typeof seqTag = {
  ...seqTag,
  addItem: (list, item) => {
    list.push(asNode(item));
  },
  carrierIsResult: false, // so that a list cannot hold itself; maps cannot either
};

const SCHEMA = new Schema([
  mergeTag,
  defineScalarTag('tag:stowage,plain', { implicit: true, resolve: plain, identify: () => false }),
  defineScalarTag('tag:yaml.org,2002:str', { resolve: quoted, identify: () => false }),
  ...[nullYaml11Tag, boolYaml11Tag, intYaml11Tag, floatYaml11Tag].map(({ tagName }) =>
    defineScalarTag(tagName, { resolve: plain, identify: () => false }),
  ),
  mapTag,
  listTag,
]);

/** @throws YamlError with the line, if there is more than one */
export function parseYaml(text: string): YamlNode {
  try {
    const documents = loadAll(text, { schema: SCHEMA });
    if (documents.length > 1) throw new YamlError('there is more than one YAML document');
    return asNode(documents[0] ?? NULL);
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const line = error.mark && text.includes('\n') ? ` in line ${error.mark.line + 1}` : '';
    throw new YamlError(`${reasonWithoutValues(error.reason)}${line}`);
  }
}

/** Aliases and tags are quoted in reasons, and a secret that begins with `*` or `!` is read as one. */
function reasonWithoutValues(reason: string): string {
  const program = /!<tag:yaml\.org,2002:((?:js|python|ruby)\/[\w/.:-]*)>/.exec(reason);
  if (program) return `the tag !!${program[1]} is not allowed (it makes objects of a program)`;
  if (reason.startsWith('recursive alias')) return 'a list or map cannot hold itself';
  if (/\btag\b/.test(reason)) return 'this tag is not allowed (quote a text that begins with "!")';
  if (reason.startsWith('unidentified alias')) return 'unknown alias (quote a text that begins with "*")';
  return reason.replaceAll(/ "[^"]*"/g, '');
}

export function isScalar(node: unknown): node is Scalar {
  return typeof node === 'object' && node !== null && 'text' in node;
}

export function isMap(node: unknown): node is YamlMap {
  return node instanceof Map;
}

/** What an unquoted text is in YAML 1.1. As for PyYAML, and against the specification, `y` and `n` are texts. */
export function plainValue(text: string): string | number | boolean | null {
  if (/^[yn]$/i.test(text)) return text;
  for (const tag of [nullYaml11Tag, boolYaml11Tag, intYaml11Tag, floatYaml11Tag]) {
    const value = tag.resolve(text, false, tag.tagName);
    if (value !== NOT_RESOLVED) return value;
  }
  return text;
}

/** The node with the YAML in an environment variable parsed. @throws YamlError */
export function parsed(node: YamlNode): YamlNode {
  return isScalar(node) && node.variable ? parseYaml(node.text) : node;
}

/** As plain data. @throws YamlError */
export function toData(node: YamlNode): unknown {
  const value = parsed(node);
  if (isScalar(value)) return value.isPlain ? plainValue(value.text) : value.text;
  if (isMap(value)) return Object.fromEntries([...value].map(([key, item]) => [key, toData(item)]));
  return value.map(toData);
}

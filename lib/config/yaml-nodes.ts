// What a YAML text is made of. The text of every scalar is kept: its type is decided by the key it stands for.

export type Scalar = {
  readonly text: string;
  /** Written without quotes: `null`, `yes` or `5000` may mean more than their text. */
  readonly isPlain: boolean;
  /** The text is that of an environment variable, or the default beside its name; YAML that is not parsed yet. */
  readonly variable?: { readonly name: string; readonly isDefault: boolean };
};
export type YamlMap = ReadonlyMap<string, YamlNode>;
export type YamlNode = Scalar | readonly YamlNode[] | YamlMap;

/** Not YAML, or YAML that is not allowed here. The message never holds a value. */
export class YamlError extends Error {
  override readonly name = 'YamlError';
  /** From 1 on. */
  readonly line: number | undefined;

  constructor(message: string, line: number | undefined) {
    super(message);
    this.line = line;
  }
}

/** Lines of nodes: of the key, for the value of one. Beside the nodes, so that these are plain data. */
const LINES = new WeakMap<YamlNode, number>();

/** The line of a node in its file, from 1 on; `undefined` for what does not come from a file. */
export function lineOf(node: YamlNode | undefined): number | undefined {
  return node && LINES.get(node);
}

/** The node itself, which stands in that line from now on. */
export function placeAt<N extends YamlNode>(node: N, line: number | undefined): N {
  if (line === undefined) LINES.delete(node);
  else LINES.set(node, line);
  return node;
}

export function isScalar(node: unknown): node is Scalar {
  return typeof node === 'object' && node !== null && 'text' in node;
}

export function isMap(node: unknown): node is YamlMap {
  return node instanceof Map;
}

// Nodes of a YAML document. A scalar keeps its text, since its key decides the type.

/** @throws YamlError */
export type ParseYaml = (text: string) => YamlNode;

export type Scalar = {
  readonly text: string;
  /** Written without quotes, so that `null`, `yes` or `5000` may be other than text. */
  readonly isPlain: boolean;
  /** The text comes from an environment variable or its default, and is YAML that is not parsed yet. */
  readonly variable?: { readonly name: string; readonly isDefault: boolean; readonly parse: ParseYaml };
};
export type YamlMap = ReadonlyMap<string, YamlNode>;
export type YamlNode = Scalar | readonly YamlNode[] | YamlMap;

/** Invalid or disallowed YAML. The message never holds a value. */
export class YamlError extends Error {
  override readonly name = 'YamlError';
  /** Counted from 1. */
  readonly line: number | undefined;

  constructor(message: string, line: number | undefined) {
    super(message);
    this.line = line;
  }
}

/** Lines of nodes (for a value, the line of its key), apart from the nodes so that these are plain data. */
const LINES = new WeakMap<YamlNode, number>();

/** The line of a node in its file, counted from 1; `undefined` if it does not come from a file. */
export function lineOf(node: YamlNode | undefined): number | undefined {
  return node && LINES.get(node);
}

/** Records the line of a node and returns the node. */
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

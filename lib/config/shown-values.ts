// Formats values for messages and for `stowage config`.
import { isMap, isScalar, type YamlNode } from './yaml-nodes.ts';

export const MASK = '********';

/** Whether a value is the mask of a secret. */
export function holdsMask(data: unknown): boolean {
  return (JSON.stringify(data) ?? '').includes(MASK);
}

/** The displayable form of a value: a secret is replaced by the variable it came from, or by a mask. */
export function withoutSecrets(value: unknown, isSecret: boolean, node: YamlNode | undefined): unknown {
  const masked = isSecret ? MASK : maskPasswords(value);
  const variable = isScalar(node) && !node.variable?.isDefault ? node.variable : undefined;
  return variable && holdsMask(masked) ? `_env:${variable.name}` : masked;
}

/** The value in quotes on one line: long values are cut, lists and maps are only named as such. */
export function show(node: YamlNode | undefined): string {
  if (!isScalar(node)) return isMap(node) ? '(a map)' : '(a list)';
  const text = maskPasswords(node.text) as string;
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}

/** ` (from the variable X)`, which follows a value or key; empty for a value written in the file. */
export function fromWhere(node: YamlNode | undefined): string {
  if (!isScalar(node) || !node.variable) return '';
  const { name, isDefault } = node.variable;
  return isDefault ? ` (the default of _env:${name})` : ` (from the variable ${name})`;
}

export function originOf(node: YamlNode | undefined): string {
  if (!isScalar(node) || !node.variable) return 'file';
  const { name, isDefault } = node.variable;
  return isDefault ? `file, default of ${name}` : `variable ${name}`;
}

/** Data with user and password masked in its URLs: `https://********@host`. */
function maskPasswords(data: unknown): unknown {
  if (typeof data === 'string') return data.replaceAll(/\/\/\S*@/g, `//${MASK}@`);
  if (Array.isArray(data)) return data.map(maskPasswords);
  if (typeof data !== 'object' || data === null) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, maskPasswords(value)]));
}

// How values appear in messages and in `stowage config`.
import { isMap, isScalar, type YamlNode } from './yaml-nodes.ts';

export const MASK = '********';

/** True for what was printed in place of a secret. */
export function holdsMask(data: unknown): boolean {
  return (JSON.stringify(data) ?? '').includes(MASK);
}

/** What may be shown of a value: of one that holds a secret the variable that it came from, else a mask. */
export function withoutSecrets(value: unknown, isSecret: boolean, node: YamlNode | undefined): unknown {
  const masked = isSecret ? MASK : maskPasswords(value);
  const variable = isScalar(node) && !node.variable?.isDefault ? node.variable : undefined;
  return variable && holdsMask(masked) ? `_env:${variable.name}` : masked;
}

/** The value in quotes and on one line; of a long one the beginning, of a list or map only that it is one. */
export function show(node: YamlNode | undefined): string {
  if (!isScalar(node)) return isMap(node) ? '(a map)' : '(a list)';
  const text = maskPasswords(node.text) as string;
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}

/** ` (from the variable X)`, to follow a value or key; nothing for what the file says itself. */
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

/** Any data with the user and password in its URLs masked: `https://********@host`. */
function maskPasswords(data: unknown): unknown {
  if (typeof data === 'string') return data.replaceAll(/\/\/\S*@/g, `//${MASK}@`);
  if (Array.isArray(data)) return data.map(maskPasswords);
  if (typeof data !== 'object' || data === null) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, maskPasswords(value)]));
}

import { dump } from 'js-yaml';
import type { LoadedConfig } from './load.ts';

/** The configuration in effect as YAML, each value with where it came from; secrets are masked. For `stowage config`. */
export function describeConfig({ config, settings }: LoadedConfig): string {
  const lines = [line('file', config.file), line('flavor', config.flavor ?? null)];
  let outer = '';
  for (const { name, value, origin } of settings) {
    const [map = '', inner] = name.split('.');
    if (inner !== undefined && map !== outer) lines.push(`${map}:`);
    outer = map;
    lines.push(`${inner === undefined ? '' : '  '}${line(inner ?? map, value)}  # ${origin}`);
  }
  return `${lines.join('\n')}\n`;
}

/** On one line whatever the value, so that a comment can follow. */
function line(key: string, value: unknown): string {
  const isText = typeof value === 'string' && !/[\r\n]/.test(value);
  return isText ? dump({ [key]: value }, { lineWidth: -1 }).trimEnd() : `${key}: ${JSON.stringify(value)}`;
}

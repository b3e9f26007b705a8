// YAML 1.1 as docker-registry read it, restricted to safe tags. Scalars keep their text and their keys decide the type, so a
// secret of digits stays a text, and `yes` is a boolean only where a boolean is expected.
import { YAMLException } from 'js-yaml';
import { composeYaml } from './compose-yaml.ts';
import { parseSimpleYaml } from './simple-yaml.ts';
import { YamlError, type YamlNode } from './yaml-nodes.ts';

/** @throws YamlError, with the line if the text has more than one */
export function parseYaml(text: string): YamlNode {
  const simple = parseSimpleYaml(text);
  if (simple) return simple;
  try {
    const documents = composeYaml(text);
    if (documents.length > 1)
      throw new YamlError('there is more than one YAML document (remove the lines ---)', undefined);
    return documents[0] ?? { text: '', isPlain: true };
  } catch (error) {
    const { reason, line } = reasonOf(error);
    const hasLine = line !== undefined && text.trimEnd().includes('\n');
    throw new YamlError(`${reason}${hasLine ? ` in line ${line}` : ''}`, hasLine ? line : undefined);
  }
}

function reasonOf(error: unknown): { reason: string; line: number | undefined } {
  if (error instanceof YamlError) return { reason: error.message, line: error.line };
  if (!(error instanceof YAMLException)) throw error;
  return { reason: reasonWithoutValues(error.reason), line: error.mark && error.mark.line + 1 };
}

const REMEDIES: readonly (readonly [string, string])[] = [
  ['tab characters', 'use spaces'],
  [
    'bad indentation',
    'keys that belong together begin in one column; a text with ": ", or that begins with @ % `, needs quotes',
  ],
  ['end of the stream or a document separator', 'each line is `key: value`, or each begins with "- "'],
  ['can not read a block mapping entry', 'a line before has no ": " after its key'],
  ['can not read an implicit', 'there is no ": " after the key'],
  ['unexpected end of the stream', 'a quote or a bracket is not closed'],
];

/** Reasons of js-yaml quote aliases and tags, and a secret that begins with `*` or `!` is parsed as one. */
function reasonWithoutValues(reason: string): string {
  if (/\btag\b/.test(reason)) return 'this tag is not allowed (quote a text that begins with "!")';
  const remedy = REMEDIES.find(([beginning]) => reason.startsWith(beginning))?.[1];
  return `${reason.replaceAll(/ "[^"]*"/g, '')}${remedy ? ` (${remedy})` : ''}`;
}

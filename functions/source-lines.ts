// Stack traces that name lines of the source instead of the bundle. With Node's own `--enable-source-maps` an instance would read and
// parse all maps at its start; this reads the map of a file when a stack trace first names the file.
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';

const maps = new Map<string, SourceMap | undefined>();

/** https://v8.dev/docs/stack-trace-api#customizing-stack-traces */
Error.prepareStackTrace = (error, sites) =>
  [String(error), ...sites.map((site) => `    at ${inSource(site)}`)].join('\n');

function inSource(site: NodeJS.CallSite): string {
  const text = String(site);
  const [file, line, column] = [site.getFileName(), site.getLineNumber(), site.getColumnNumber()];
  if (!file?.startsWith('file:') || line === null || column === null) return text;
  const found = mapOf(file)?.findEntry(line - 1, column - 1);
  if (!found || !('originalSource' in found)) return text;
  // In the map, sources are relative to the bundle.
  const source = found.originalSource.replace(/^(?:\.\.\/)+/, '');
  return text.replace(`${file}:${line}:${column}`, `${source}:${found.originalLine + 1}:${found.originalColumn + 1}`);
}

function mapOf(file: string): SourceMap | undefined {
  if (!maps.has(file)) maps.set(file, readMap(`${fileURLToPath(file)}.map`));
  return maps.get(file);
}

function readMap(path: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined; // not one of the bundle's files
  }
}

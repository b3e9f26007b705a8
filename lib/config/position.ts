/** `/etc/registry.yml:12: auth`, to begin a message; without what is not known. */
export function position(file: string, line: number | undefined, name?: string): string {
  const place = line === undefined ? `${file}:` : `${file}:${line}:`;
  return name === undefined ? place : `${place} ${name}`;
}

/** `/etc/registry.yml:12: auth`, the beginning of a message; unknown parts are left out. */
export function position(file: string, line: number | undefined, name?: string): string {
  const place = line === undefined ? `${file}:` : `${file}:${line}:`;
  return name === undefined ? place : `${place} ${name}`;
}

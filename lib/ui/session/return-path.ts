/** The page to show after a login: a path of these pages, or the first page. An absolute URL, or one without scheme, is none. */
export function returnPath(text: string | null | undefined): string {
  if (!text || !/^\/ui\/[\x21-\x5b\x5d-\x7e]*$/.test(text)) return '/ui/';
  const base = 'http://page.invalid';
  const url = new URL(text, base);
  return url.origin === base && url.pathname.startsWith('/ui/') ? url.pathname + url.search : '/ui/';
}

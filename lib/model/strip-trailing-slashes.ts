/** Without a regular expression: `/\/+$/` tries again at each slash of `///…///x`, which takes the square of their number. */
export function stripTrailingSlashes(text: string): string {
  let end = text.length;
  while (text[end - 1] === '/') end--;
  return text.slice(0, end);
}

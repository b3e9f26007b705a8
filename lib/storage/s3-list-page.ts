// A page of a listing, as XML. https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
import type { ObjectInfo } from './driver.ts';
import { dateOf, etagOf } from './s3-object-info.ts';

/** Keys and their beginnings with the key prefix of the storage. */
export type ListRequest = {
  prefix: string;
  delimiter?: string | undefined;
  after?: string | undefined;
  token?: string | undefined;
};

export type ListPage = {
  objects: (Omit<ObjectInfo, 'key'> & { key: string })[];
  folders: string[];
  /** Of the next page. */
  nextToken: string | undefined;
  /** This is not the last page. */
  isTruncated: boolean;
};

/** The query of the request for a page. */
export function listQueryOf({ prefix, delimiter, after, token }: ListRequest): Record<string, string> {
  return {
    'list-type': '2',
    prefix,
    ...(delimiter !== undefined && { delimiter }),
    ...(after !== undefined && { 'start-after': after }),
    ...(token !== undefined && { 'continuation-token': token }),
  };
}

/** Undefined if this is no page of a listing. @throws Error if an object has no ETag or date */
export function parseListPage(xml: string): ListPage | undefined {
  if (!/<ListBucketResult[\s/>]/.test(xml)) return undefined;
  const objects: ListPage['objects'] = [];
  const folders: string[] = [];
  // Elements of these two kinds hold no others of their kind, and `<` in texts is escaped.
  const rest = xml.replace(/<(Contents|CommonPrefixes)>([\s\S]*?)<\/\1>/g, (_, kind: string, element: string) => {
    if (kind === 'Contents') objects.push(objectOf(element));
    else folders.push(textOf(element, 'Prefix') ?? '');
    return '';
  });
  const isTruncated = textOf(rest, 'IsTruncated') === 'true';
  return { objects, folders, nextToken: textOf(rest, 'NextContinuationToken'), isTruncated };
}

function objectOf(element: string): ListPage['objects'][number] {
  const date = textOf(element, 'LastModified');
  return {
    key: textOf(element, 'Key') ?? '',
    sizeBytes: Number(textOf(element, 'Size') ?? 0),
    etag: etagOf({ ETag: textOf(element, 'ETag') }),
    lastModified: dateOf({ LastModified: date === undefined ? undefined : new Date(date) }),
  };
}

/** The text of the first element of this name, which has no attributes. Undefined if there is none. */
function textOf(xml: string, name: string): string | undefined {
  const start = xml.indexOf(`<${name}>`);
  if (start < 0) return undefined;
  const from = start + name.length + 2;
  return resolveReferences(xml.slice(from, xml.indexOf(`</${name}>`, from)));
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** https://www.w3.org/TR/xml/#sec-references */
function resolveReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (whole, hex?: string, decimal?: string, name = '') => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name] ?? whole;
  });
}

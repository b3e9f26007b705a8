// The numbers that the documents promise are those of the code. What was measured, and what other systems do, is not here.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { MAX_BODY_BYTES } from '../../functions/gateway/request.ts';

import { ADDRESS, NAME } from '../../lib/auth/login-throttle.ts';
import { MAX_LINES_PER_INTERVAL, INTERVAL_MS as REFUSALS_INTERVAL_MS } from '../../lib/auth/oidc/refusals.ts';
import { MAX_COST } from '../../lib/auth/passwords/htpasswd.ts';
import { INTERVAL_MS as OBJECT_INTERVAL_MS } from '../../lib/auth/passwords/object-source.ts';
import { MAX_UNDER_WAY, REMEMBERED_MS } from '../../lib/auth/passwords/password-logins.ts';
import { INTERVAL_MS as SECRET_INTERVAL_MS } from '../../lib/auth/passwords/secret-source.ts';
import { FILE_INTERVAL_MS } from '../../lib/auth/passwords/text-source.ts';
import { SMALL_DOWNLOAD_BYTES } from '../../lib/auth/request-limits.ts';
import { ACCESS_TOKEN_SECONDS, REFRESH_TOKEN_SECONDS } from '../../lib/auth/tokens/access-tokens.ts';
import { FRESH_MS as ROBOT_FRESH_MS } from '../../lib/auth/tokens/robots.ts';
import { LIFETIME_SECONDS as V1_TOKEN_SECONDS } from '../../lib/auth/tokens/v1-tokens.ts';
import { MAX_UPLOADS_PER_CALLER } from '../../lib/auth/transfer-limits.ts';
import { DEFAULT_GRACE_SECONDS } from '../../lib/commands/serve.ts';
import { ANY_RATIO_BYTES, DEFAULT_UNPACK_LIMITS } from '../../lib/compression/unpack-limits.ts';
import { PORT, USED_KEYS } from '../../lib/config/keys.ts';
import { MAX_PATH_CHARACTERS, MAX_SLASHES } from '../../lib/http/path-limit.ts';
import { ARRIVED_BYTES, PARSED_BYTES, PARSED_PER_BYTE } from '../../lib/limits/body-memory.ts';
import { FEW } from '../../lib/limits/concurrency-limit.ts';
import { MAX_BYTES as UNSENT_BYTES } from '../../lib/limits/unsent-answers.ts';
import { PACE, WAIT_MS } from '../../lib/limits/waiting-requests.ts';
import { MAX_SCANNED_VALUES } from '../../lib/model/json-scanner.ts';
import { MAX_DESCRIPTORS } from '../../lib/model/manifest.ts';
import { MAX_KEY_PART_BYTES, parseTag } from '../../lib/model/names.ts';
import { PRESIGNED_SECONDS } from '../../lib/registry/blobs/blobs.ts';
import { PAGE_BYTES, PAGE_SIZE } from '../../lib/registry/manifests/referrers.ts';
import { MAX_HIDDEN_NAMESPACES } from '../../lib/registry/repositories/catalog.ts';
import { FRESH_MS as SEARCH_FRESH_MS } from '../../lib/registry/repositories/search.ts';
import { MAX_ENTRIES } from '../../lib/registry/tags/index-images.ts';
import { SESSION_SECONDS, UPLOAD_SECONDS } from '../../lib/registry/uploads/session.ts';
import { MAX_MANIFESTS, MAX_LAYERS as MAX_SHARED_LAYERS } from '../../lib/registry/usage/find-shared-layers.ts';
import { MAX_READ_MANIFESTS } from '../../lib/registry/usage/usage.ts';
import { MAX_LIST_BYTES } from '../../lib/registry/v1-images/files.ts';
import { PUSHER_RECORD_LIFETIME_MS } from '../../lib/registry/v1-images/image-rights.ts';
import { UNPACKINGS } from '../../lib/registry/v1-images/layers.ts';
import { LIFETIME_MS as PENDING_PUSH_MS } from '../../lib/registry/v1-pushes/pending-pushes.ts';
import { UNPACK_SLOTS } from '../../lib/registry/v2-to-v1/gzip-layers.ts';
import { RECENT_MILLISECONDS } from '../../lib/registry/v2-to-v1/v1-tags.ts';
import { LINGER_MS } from '../../lib/server/drain-request.ts';
import { IDLE_MS, REQUESTS_IN_A_TURN } from '../../lib/server/node-server.ts';
import { BREAK_AFTER_MS } from '../../lib/storage/file-locks.ts';
import { FLUSH_BYTES } from '../../lib/storage/file-writer.ts';
import { MAX_PARTS, MIN_PART_BYTES, PART_BYTES } from '../../lib/storage/multipart-limits.ts';
import { READS_AT_ONCE } from '../../lib/storage/shared-reads.ts';
import { GiB, KiB, MiB } from '../../lib/streams/bytes.ts';
import { MAX_DOCUMENT_BYTES } from '../../lib/ui/data/documents.ts';
import { MAX_READ_BYTES as MAX_INDEX_BYTES, MAX_READ as MAX_INDEXES } from '../../lib/ui/data/index-children.ts';
import { MAX_PAGE_BYTES, MAX_SIGNATURE_BYTES, MAX_SIGNATURES } from '../../lib/ui/data/read-signatures.ts';
import { FRESH_MS as LISTING_FRESH_MS, MAX_BYTES as MAX_LISTING_BYTES } from '../../lib/ui/data/repository-listings.ts';
import { MAX_RSA_BITS, MAX_TRUSTED_KEYS, MIN_RSA_BITS } from '../../lib/ui/data/signatures/trusted-keys.ts';
import { MAX_SHOWN_TAGS } from '../../lib/ui/data/tag-rows.ts';
import { MAX_READ as MAX_PLANNED_TAGS } from '../../lib/ui/pages/delete-tags.ts';
import { LOOKED_INTO } from '../../lib/ui/pages/digest.ts';
import { PAGE_SIZE as PACKAGES } from '../../lib/ui/pages/documents.ts';
import { PAGE_SIZE as REFERRERS } from '../../lib/ui/pages/referrers.ts';
import { DOCUMENT_READS, PAGES, SIGNATURE_READS } from '../../lib/ui/pages/ui.ts';
import { LIFETIME_SECONDS as BROWSER_SESSION_SECONDS } from '../../lib/ui/session/sessions.ts';
import { NAMED_BY_CONTENT } from '../../lib/v2/blob-pulls.ts';
import { DEFAULT_PAGE } from '../../lib/v2/catalog.ts';
import { MAX_MANIFEST_BYTES, MAX_TAGS } from '../../lib/v2/manifests.ts';
import { CHECK_MS } from '../../lib/workers/coordinator.ts';
import { MAX_UNANSWERED_CHECKS } from '../../lib/workers/heartbeat.ts';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');

/** A regular expression for each way in which a document may write a number. */
type Spelling = RegExp;

const WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
const HUNDRED = 100;

/** `10,000`, `ten`, `a hundred`, alone or followed by what is counted. */
function count(number: number, what = ''): Spelling {
  const word = number === HUNDRED ? 'a hundred' : WORDS[number];
  const written = [number.toLocaleString('en-US'), String(number), ...(word === undefined ? [] : [word])];
  const escaped = written.map((text) => text.replace('.', String.raw`\.`)).join('|');
  return new RegExp(String.raw`(?<![\w.,])(?:${escaped})(?![\w]|[.,]\d)${what && ` ${what}`}`, 'i');
}

const DURATIONS = [
  ['day', 24 * 60 * 60 * 1000],
  ['hour', 60 * 60 * 1000],
  ['minute', 60 * 1000],
  ['s', 1000],
] as const;

/** `20 minutes`, `half a minute`, `an hour`, `30 s`: in the unit of which it is a whole number, if there is one. */
function milliseconds(duration: number): Spelling {
  const [unit, length] = DURATIONS.find(([, unitMs]) => duration % unitMs === 0) ?? ['ms', 1];
  const number = duration / length;
  const named = unit === 's' ? '(?:s|seconds?)' : `${unit}s?`;
  const more = [
    ...(number === 1 ? [`(?:a|an|one|once a) ${named}`] : []),
    ...(duration === DURATIONS[2][1] / 2 ? ['half a minute'] : []),
  ];
  return new RegExp([`${count(number).source} ${named}\\b`, ...more.map((text) => `\\b${text}\\b`)].join('|'), 'i');
}

const seconds = (duration: number) => milliseconds(duration * 1000);
const kibibytes = (bytes: number) => count(bytes / KiB, 'KiB');
const mebibytes = (bytes: number) => count(bytes / MiB, 'MiB');
const mebibytesToTenths = (bytes: number) => count(Math.round((bytes / MiB) * 10) / 10, 'MiB');
const gibibytes = (bytes: number) => count(Math.floor(bytes / GiB), 'GiB');

/** The default of a key, as its row in docs/configuration.md has it. */
const fallbackOf = (key: keyof typeof USED_KEYS) => count(Number(USED_KEYS[key].fallback));

const longestTag = Array.from({ length: 300 }, (_, length) => 't'.repeat(length + 1)).findLast((tag) => {
  try {
    return parseTag(tag);
  } catch {
    return false;
  }
});

/** A number of a template, by the line that has it. */
function numberIn(path: string, line: RegExp): number {
  const [, number] = line.exec(read(path)) ?? assert.fail(`${path} has no ${line.source}`);
  return Number(number);
}

const TEMPLATE = 'template.yaml';
const PUSH_ENDPOINT = 'infra/push-endpoint.yaml';
const AUTHORIZER_SECONDS = numberIn(TEMPLATE, /authorizerResultTtlInSeconds: !If \[AnonymousPull, 0, (\d+)\]/);
const PUSH_SECONDS = numberIn(PUSH_ENDPOINT, /Timeout: (\d+) # the maximum/);
const REQUESTS_PER_ENVIRONMENT = numberIn(PUSH_ENDPOINT, /MaxConcurrencyPerEnvironment: (\d+)/);
const defaultOf = (parameter: string) =>
  count(numberIn(TEMPLATE, new RegExp(`^  ${parameter}:\\n    Type: Number\\n    Default: (\\d+)$`, 'm')));
/** What fits through a line in the time that the push endpoint gives a request. */
const largestLayer = (megabitsPerSecond: number) => {
  const gigabytes = (megabitsPerSecond / 8 / 1000) * PUSH_SECONDS;
  return new RegExp(`${gigabytes < 10 ? gigabytes.toFixed(1) : Math.floor(gigabytes)} GB`);
};

/** A document, words that stand in one paragraph, table row or list item of it, and the number that it says there. */
const PROMISES: readonly (readonly [document: string, near: readonly string[], says: Spelling])[] = [
  ['docs/operations.md', ['SIGTERM'], seconds(DEFAULT_GRACE_SECONDS)],
  ['docs/operations.md', ['worker that hangs'], milliseconds(CHECK_MS * MAX_UNANSWERED_CHECKS)],
  ['docs/architecture.md', ['answers no ping'], milliseconds(CHECK_MS * MAX_UNANSWERED_CHECKS)],
  ['README.md', ['port', 'npm', 'serves'], count(Number(PORT.fallback))],

  ['docs/oci.md', ['storage_redirect', '307', 'If-Range'], seconds(PRESIGNED_SECONDS)],
  ['docs/oci.md', ['/referrers/<digest>', 'Pages'], count(PAGE_SIZE, 'descriptors')],
  ['docs/oci.md', ['/referrers/<digest>', 'Pages'], mebibytes(PAGE_BYTES)],
  ['docs/oci.md', ['/v2/_catalog', 'Link'], count(DEFAULT_PAGE)],
  ['docs/oci.md', ['/v2/_catalog', 'Link'], count(MAX_HIDDEN_NAMESPACES, 'namespaces')],
  ['docs/oci.md', ['schemaVersion'], mebibytes(MAX_MANIFEST_BYTES)],
  ['docs/oci.md', ['linux/amd64'], milliseconds(RECENT_MILLISECONDS)],
  ['docs/oci.md', ['secret_key', '_state'], seconds(SESSION_SECONDS)],
  ['docs/oci.md', ['secret_key', '_state'], seconds(UPLOAD_SECONDS)],
  ['docs/oci.md', ['TOOMANYREQUESTS'], milliseconds(WAIT_MS)],
  ['docs/oci.md', ['TOOMANYREQUESTS'], count(MAX_UPLOADS_PER_CALLER, 'uploads')],
  ['docs/oci.md', ['UNAVAILABLE', 'uploads_at_once'], milliseconds(WAIT_MS)],
  ['docs/oci.md', ['| manifest | ', '413'], mebibytes(MAX_MANIFEST_BYTES)],
  ['docs/oci.md', ['| layers of an image'], count(MAX_DESCRIPTORS)],
  ['docs/oci.md', ['| tags in one request'], count(MAX_TAGS)],
  ['docs/oci.md', ['| a blob on S3'], count(MAX_PARTS, 'parts')],
  ['docs/oci.md', ['| a blob on S3'], mebibytes(PART_BYTES)],
  ['docs/oci.md', ['| a blob on S3'], mebibytes(MIN_PART_BYTES)],
  ['docs/oci.md', ['| a blob on S3'], gibibytes(MAX_PARTS * PART_BYTES)],
  ['docs/oci.md', ['| a blob on S3'], gibibytes(MAX_PARTS * MIN_PART_BYTES)],
  ['docs/oci.md', ['| repository name'], count(MAX_KEY_PART_BYTES)],
  ['docs/oci.md', ['| tag |'], count(longestTag?.length ?? 0)],
  ['docs/oci.md', ['| path'], count(MAX_PATH_CHARACTERS)],
  ['docs/oci.md', ['| path'], count(MAX_SLASHES)],
  ['docs/oci.md', ['| upload session'], seconds(SESSION_SECONDS)],
  ['docs/oci.md', ['| upload session'], seconds(UPLOAD_SECONDS)],
  ['docs/oci.md', ['| blob |', 'digest in quotes'], new RegExp(NAMED_BY_CONTENT)],

  ['docs/v1.md', ['pushes/<pusher id>/<hex>'], milliseconds(PENDING_PUSH_MS)],
  ['docs/v1.md', ['| `oci/images/<id>/pushers/<pusher id>`'], milliseconds(PUSHER_RECORD_LIFETIME_MS)],
  ['docs/v1.md', ['_index_images', 'newest'], count(MAX_ENTRIES)],
  ['docs/v1.md', ['Layer has too many files'], mebibytes(MAX_LIST_BYTES)],
  ['docs/v1.md', ['| search'], milliseconds(SEARCH_FRESH_MS)],

  ['docs/security.md', ['uploads_at_once', '`test/limits/uploads.test.ts`'], fallbackOf('uploads_at_once')],
  ['docs/security.md', ['uploads of one caller'], count(MAX_UPLOADS_PER_CALLER)],
  ['docs/security.md', ['downloads_at_once'], fallbackOf('downloads_at_once')],
  ['docs/security.md', ['`test/limits/memory-limit.test.ts`'], mebibytes(ARRIVED_BYTES)],
  ['docs/security.md', ['`test/limits/memory-limit.test.ts`'], count(PARSED_PER_BYTE)],
  ['docs/security.md', ['`test/limits/memory-limit.test.ts`'], mebibytes(PARSED_BYTES)],
  ['docs/security.md', ['`test/limits/memory-limit.test.ts`'], milliseconds(WAIT_MS)],
  ['docs/security.md', ['`test/limits/unsent-answers.test.ts`'], mebibytes(UNSENT_BYTES)],
  ['docs/security.md', ['list', 'files', '`test/registry/unpacking.ts`'], mebibytes(MAX_LIST_BYTES)],
  ['docs/security.md', ['| Unpacking of layers'], count(UNPACKINGS.atOnce, 'bzip2')],
  ['docs/security.md', ['| Unpacking of layers'], count(UNPACK_SLOTS.atOnce, 'zstd')],
  ['docs/security.md', ['| Web pages of repositories'], count(PAGES.atOnce, 'at once')],
  ['docs/security.md', ['| Web pages of repositories'], count(PAGES.perCaller, 'of one caller')],
  ['docs/security.md', ['| Documents on web pages'], mebibytes(MAX_DOCUMENT_BYTES)],
  ['docs/security.md', ['| Documents on web pages'], count(MAX_SCANNED_VALUES, 'values')],
  ['docs/security.md', ['| Documents on web pages'], count(DOCUMENT_READS.atOnce, 'at once')],
  ['docs/security.md', ['| Documents on web pages'], count(DOCUMENT_READS.perCaller, 'of one caller')],
  ['docs/security.md', ['| Lists of signatures'], mebibytes(MAX_PAGE_BYTES)],
  ['docs/security.md', ['| Lists of signatures'], count(MAX_SIGNATURES, 'signatures')],
  ['docs/security.md', ['| Lists of signatures'], count(MAX_TRUSTED_KEYS, 'keys')],
  ['docs/security.md', ['| Lists of signatures'], count(SIGNATURE_READS.atOnce, 'at once')],
  ['docs/security.md', ['| Lists of signatures'], count(SIGNATURE_READS.perCaller, 'of one caller')],
  ['docs/security.md', ['Presigned URLs'], seconds(PRESIGNED_SECONDS)],
  ['docs/security.md', ['upload session', 'signed'], seconds(SESSION_SECONDS)],
  ['docs/security.md', ['upload session', 'signed'], seconds(UPLOAD_SECONDS)],
  ['docs/security.md', ['wrong logins'], count(ADDRESS.failures, 'wrong logins')],
  ['docs/security.md', ['wrong logins'], seconds(ADDRESS.forgetSeconds)],
  ['docs/security.md', ['wrong logins'], milliseconds(REMEMBERED_MS)],
  ['docs/security.md', ['many addresses'], count(NAME.failures)],
  ['docs/security.md', ['many addresses'], seconds(NAME.forgetSeconds)],
  ['docs/security.md', ['bcrypt at cost'], count(MAX_UNDER_WAY)],
  ['docs/security.md', ['bcrypt at cost'], new RegExp(`above ${MAX_COST}\\b`)],
  ['docs/security.md', ['KiB/s'], new RegExp(`${count(PACE.minBytesPerSecond / KiB).source} KiB/s`)],
  ['docs/security.md', ['KiB/s'], milliseconds(PACE.stallMs)],
  ['docs/security.md', ['KiB/s'], milliseconds(IDLE_MS)],
  ['docs/security.md', ['KiB/s'], milliseconds(WAIT_MS)],
  ['docs/security.md', ['KiB/s', 'quarter'], count(FEW)],
  ['docs/security.md', ['revoked robot', 'access tokens'], milliseconds(ROBOT_FRESH_MS)],
  ['docs/security.md', ['revoked robot', 'access tokens'], seconds(ACCESS_TOKEN_SECONDS)],
  ['docs/security.md', ['revoked robot', 'OpenID Connect'], seconds(V1_TOKEN_SECONDS)],

  ['docs/configuration.md', ['| `uploads_at_once`'], fallbackOf('uploads_at_once')],
  ['docs/configuration.md', ['| `uploads_at_once`'], count(MAX_UPLOADS_PER_CALLER)],
  ['docs/configuration.md', ['| `uploads_at_once`'], milliseconds(WAIT_MS)],
  ['docs/configuration.md', ['| `uploads_at_once`'], count(FEW)],
  ['docs/configuration.md', ['| `downloads_at_once`'], fallbackOf('downloads_at_once')],
  ['docs/configuration.md', ['| `downloads_at_once`'], kibibytes(SMALL_DOWNLOAD_BYTES)],
  ['docs/configuration.md', ['| `trusted_proxies`'], fallbackOf('trusted_proxies')],
  ['docs/configuration.md', ['| `unpacking`'], count(DEFAULT_UNPACK_LIMITS.maxBytes)],
  ['docs/configuration.md', ['| `unpacking`'], count(DEFAULT_UNPACK_LIMITS.maxRatio)],
  ['docs/configuration.md', ['| `unpacking`'], mebibytes(ANY_RATIO_BYTES)],
  ['docs/configuration.md', ['| `REGISTRY_PORT`'], count(Number(PORT.fallback))],
  ['docs/configuration.md', ['killed', 'lock'], milliseconds(BREAK_AFTER_MS)],

  ['docs/auth.md', ['Changes of a file'], milliseconds(FILE_INTERVAL_MS)],
  ['docs/auth.md', ['Changes of a file'], milliseconds(OBJECT_INTERVAL_MS)],
  ['docs/auth.md', ['/v2/_token', 'OAuth 2'], seconds(ACCESS_TOKEN_SECONDS)],
  ['docs/auth.md', ['refresh_token', 'offline'], seconds(REFRESH_TOKEN_SECONDS)],
  ['docs/auth.md', ['log never contains the token'], milliseconds(REFUSALS_INTERVAL_MS)],
  ['docs/auth.md', ['log never contains the token'], count(MAX_LINES_PER_INTERVAL, 'lines')],
  ['docs/auth.md', ['revoke', 'half'], milliseconds(ROBOT_FRESH_MS)],
  ['docs/auth.md', ['X-Docker-Token'], seconds(V1_TOKEN_SECONDS)],
  ['docs/auth.md', ['what the old key signed'], seconds(UPLOAD_SECONDS)],
  ['docs/auth.md', ['what the old key signed'], seconds(SESSION_SECONDS)],
  ['docs/auth.md', ['what the old key signed'], seconds(REFRESH_TOKEN_SECONDS)],

  ['docs/deploy.md', ['changed secret'], milliseconds(SECRET_INTERVAL_MS)],
  ['docs/deploy.md', ['half-duplex', 'refused push'], milliseconds(LINGER_MS)],
  ['docs/deploy.md', ['chunks', 'for all of them'], seconds(UPLOAD_SECONDS)],
  ['docs/deploy.md', ['event of Lambda'], mebibytesToTenths(MAX_BODY_BYTES)],
  ['docs/deploy.md', ['An answer may have'], mebibytesToTenths(MAX_BODY_BYTES)],
  ['docs/deploy.md', ['PushEndpoint=none'], mebibytesToTenths(MAX_BODY_BYTES)],
  [TEMPLATE, ['none = only layers'], mebibytesToTenths(MAX_BODY_BYTES)],
  [TEMPLATE, ['"UNSUPPORTED"', 'push endpoint'], mebibytesToTenths(MAX_BODY_BYTES)],
  [TEMPLATE, ['- Layers up to'], mebibytesToTenths(MAX_BODY_BYTES)],
  ['docs/deploy.md', ['PushEndpoint=web-function'], seconds(PUSH_SECONDS)],
  ['docs/deploy.md', ['| 10 Mbit/s'], largestLayer(10)],
  ['docs/deploy.md', ['| 100 Mbit/s'], largestLayer(100)],
  ['docs/deploy.md', ['| 1000 Mbit/s'], largestLayer(1000)],
  [TEMPLATE, ['web-function = '], seconds(PUSH_SECONDS)],
  [TEMPLATE, ['- Layers that a client sends'], seconds(PUSH_SECONDS)],
  [TEMPLATE, ['- Layers that a client sends'], largestLayer(10)],
  [TEMPLATE, ['- Layers that a client sends'], largestLayer(100)],
  [TEMPLATE, ['- Layers that a client sends'], largestLayer(1000)],
  ['docs/deploy.md', ['| `FunctionMemory`'], defaultOf('FunctionMemory')],
  ['docs/deploy.md', ['| `RequestsPerSecond`'], defaultOf('RequestsPerSecond')],
  ['docs/deploy.md', ['| `PushEnvironments`'], defaultOf('PushEnvironments')],
  ['docs/deploy.md', ['| `PushEnvironments`'], count(REQUESTS_PER_ENVIRONMENT, 'requests')],
  [TEMPLATE, ['environments of the push endpoint'], count(REQUESTS_PER_ENVIRONMENT, 'requests')],
  ['docs/deploy.md', ['| `RequestHandler`', '`Authorizer`'], seconds(AUTHORIZER_SECONDS)],
  ['docs/auth.md', ['gateway'], seconds(AUTHORIZER_SECONDS)],
  ['docs/security.md', ['anonymous-pull', 'Authorization'], seconds(AUTHORIZER_SECONDS)],
  ['docs/deploy.md', ['| `Versioning`'], seconds(numberIn(TEMPLATE, /NoncurrentDays: (\d+)/) * 24 * 60 * 60)],

  ['docs/pages.md', ['Lists of tags are at most'], milliseconds(LISTING_FRESH_MS)],
  ['docs/pages.md', ['Listings of a repository are kept'], milliseconds(LISTING_FRESH_MS)],
  ['docs/pages.md', ['Listings of a repository are kept'], mebibytes(MAX_LISTING_BYTES)],
  ['docs/pages.md', ['signed cookie'], seconds(BROWSER_SESSION_SECONDS)],
  ['docs/pages.md', ['packages of SPDX'], count(PACKAGES, 'at a time')],
  ['docs/pages.md', ['document of more than'], mebibytes(MAX_DOCUMENT_BYTES)],
  ['docs/pages.md', ['document of more than'], count(MAX_SCANNED_VALUES, 'values')],
  ['docs/pages.md', ['A public key', 'A certificate'], count(MIN_RSA_BITS, 'to')],
  ['docs/pages.md', ['A public key', 'A certificate'], count(MAX_RSA_BITS, 'bits')],
  ['docs/pages.md', ['A public key', 'A certificate'], count(MAX_TRUSTED_KEYS, 'keys')],
  ['docs/pages.md', ['A page of what refers to a manifest'], count(REFERRERS, 'referrers')],
  ['docs/pages.md', ['A page of what refers to a manifest'], count(MAX_SIGNATURES, 'signatures')],
  ['docs/pages.md', ['A page of what refers to a manifest'], mebibytes(MAX_SIGNATURE_BYTES)],
  ['docs/pages.md', ['A page of what refers to a manifest'], mebibytes(MAX_PAGE_BYTES)],
  ['docs/pages.md', ['A row names'], count(MAX_SHOWN_TAGS, 'tags')],
  ['docs/pages.md', ['What has no tag is found'], count(MAX_INDEXES)],
  ['docs/pages.md', ['What has no tag is found'], mebibytes(MAX_INDEX_BYTES)],
  ['docs/pages.md', ['Which tags share a layer is known'], count(MAX_MANIFESTS, 'manifests')],
  ['docs/pages.md', ['Which tags share a layer is known'], count(MAX_SHARED_LAYERS, 'layers')],
  ['docs/pages.md', ['Digests are looked for'], count(LOOKED_INTO, 'repositories')],
  ['docs/pages.md', ['Deletion plans count'], count(MAX_PLANNED_TAGS, 'tags')],
  ['docs/lifecycle.md', ['which tags of a repository share a layer'], count(MAX_MANIFESTS, 'manifests')],
  [
    'docs/lifecycle.md',
    ['which tags of a repository share a layer'],
    new RegExp(`reads ${count(MAX_READ_MANIFESTS).source}`),
  ],
  ['docs/benchmarks.md', ['| push of one layer, disk |'], mebibytes(FLUSH_BYTES)],
  ['docs/benchmarks.md', ['| manifest GET, many connections, one tag |'], count(READS_AT_ONCE, 'concurrent reads')],
  ['docs/benchmarks.md', ['| fresh connections'], count(REQUESTS_IN_A_TURN, 'requests')],

  ['docs/decisions/presigned-pulls.md', ['storage_redirect'], seconds(PRESIGNED_SECONDS)],
  ['docs/decisions/upload-state-in-the-url.md', ['signed with a key'], seconds(SESSION_SECONDS)],
  ['docs/decisions/upload-state-in-the-url.md', ['signed with a key'], seconds(UPLOAD_SECONDS)],
];

/** Paragraphs, table rows and list items, each on one line. */
function blocksOf(document: string): string[] {
  return read(document)
    .split(/\n(?=\s*(?:[-|#]|\d+\. |$))/)
    .map((block) => block.replaceAll(/\s+/g, ' '));
}

describe('the documents promise', () => {
  for (const [document, near, says] of PROMISES) {
    it(`${document}, at ${near.join(' and ')}: ${says.source}`, () => {
      const blocks = blocksOf(document).filter((block) => near.every((words) => block.includes(words)));
      assert.ok(blocks.length > 0, `no paragraph of ${document} has ${near.join(' and ')}`);
      assert.ok(
        blocks.some((block) => says.test(block)),
        blocks.join('\n'),
      );
    });
  }

  it('numbers that a changed constant does not keep', () => {
    assert.doesNotMatch('holds for 20 minutes', seconds(20.3 * 60));
    assert.doesNotMatch('read once a minute at most', milliseconds(61_000));
    assert.doesNotMatch('pages of 1,000', count(100));
    assert.match('for half a minute', milliseconds(30_000));
    assert.match('until a day after', milliseconds(24 * 60 * 60 * 1000));
  });
});

// All keys of Stowage, and all keys that docker-registry 0.6.5 to 0.9.1 knew in any driver or sample. A dot is a nested map.
//
// To add a key: an entry of USED_KEYS, with its type and default, a property in `readConfig` (config.ts), and a row in
// docs/configuration.md, which test/docs/configuration.test.ts requires. `stowage config` then shows it.

import { DEFAULT_UNPACK_LIMITS } from '../compression/unpack-limits.ts';
import type { AbsoluteLocations } from '../http/gateway-quirks.ts';
import { DAY_MS, HOUR_MS } from '../model/duration.ts';
import type { LogLevel } from '../model/log.ts';
import { COLLECTION_TIMES, MIN_GRACE_MS } from '../registry/condemned/times.ts';
import type { IndexChildren } from '../registry/manifests/manifest-checks.ts';
import { SCANNERS } from '../registry/retention/pulling-programs.ts';
import type { StorageConfig } from '../storage/open.ts';
import { MiB } from '../streams/bytes.ts';
import type { V2VersionHeader } from '../v2/version-header.ts';
import { accessRules } from './access-rules.ts';
import { duration } from './duration.ts';
import { immutableTags } from './immutable-tags.ts';
import { oidcRules } from './oidc-rules.ts';
import { quotas } from './quotas.ts';
import { retentionRules } from './retention-rules.ts';
import { trustedKeys } from './trusted-keys.ts';
import {
  anything,
  autoOr,
  boolean,
  choice,
  integer,
  list,
  mapOf,
  matching,
  orOff,
  text,
  textOrList,
  url,
  type ValueType,
} from './value-types.ts';

export type UsedKey<V> = {
  readonly type: ValueType<NonNullable<V>>;
  /** The value where the key is missing or null. */
  readonly fallback: V;
  readonly isSecret: boolean;
};

export type UnusedKey = {
  /** Follows the key in the warning: "… is ignored: <why>". */
  readonly why: string;
  /** A nested key without which docker-registry ignored the map too. */
  readonly switchedOnBy?: string;
  /** Whether the default in `_env:NAME:default` comes from the sample rather than from the operator. */
  readonly ignoreDefault?: true;
  /** Whether `false` is a value of its own rather than "not set". */
  readonly isSetByFalse?: true;
};

/** The collector lists everything in storage each time. */
const MIN_INTERVAL_MS = HOUR_MS;

export const MAX_WORKERS = 64;

const optional = <T>(type: ValueType<T>): UsedKey<T | undefined> => ({
  type: type as ValueType<NonNullable<T>>,
  fallback: undefined,
  isSecret: false,
});
const withDefault = <T>(type: ValueType<T>, fallback: NonNullable<T>): UsedKey<NonNullable<T>> => ({
  type: type as ValueType<NonNullable<T>>,
  fallback,
  isSecret: false,
});
const secret = (type: ValueType<string>): UsedKey<string | undefined> => ({ ...optional(type), isSecret: true });

/** The level names of Python's logging, old and new. */
const logLevel = choice<LogLevel>('debug, info, warning, error or critical, in any case', {
  notset: 'debug',
  debug: 'debug',
  info: 'info',
  warn: 'warning',
  warning: 'warning',
  error: 'error',
  fatal: 'critical',
  critical: 'critical',
});

/** How requests name the bucket: in the host, in the path, or by a host that is the bucket itself. */
export type CallingFormat = 'SubdomainCallingFormat' | 'OrdinaryCallingFormat' | 'VHostCallingFormat';

const callingFormat = choice<CallingFormat>(
  'boto.s3.connection.SubdomainCallingFormat, …OrdinaryCallingFormat or …VHostCallingFormat',
  Object.fromEntries(
    (['SubdomainCallingFormat', 'OrdinaryCallingFormat', 'VHostCallingFormat'] as const).flatMap((name) => [
      [name.toLowerCase(), name],
      [`boto.s3.connection.${name.toLowerCase()}`, name],
    ]),
  ),
);

const htpasswd = matching(
  /^(?:(?!s3:|arn:).+|s3:\/\/[^/]*\/.+|arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d*:secret:.+)$/,
  "a path, s3://bucket/key, s3:///key in the registry's own bucket, or the ARN of a secret in Secrets Manager",
);

const bucket = matching(
  /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/,
  'the name of a bucket, 3 to 255 letters, digits and . _ -',
);

/** What `storage` may be: for each driver its name, and then its aliases. */
const STORAGE_NAMES = {
  local: { local: 'local', file: 'local' },
  s3: { s3: 's3' },
} as const satisfies { [D in StorageConfig['driver']]: Readonly<Record<string, D>> };

/** The same for messages: `local (or file) and s3`. */
export const STORAGES = Object.values(STORAGE_NAMES)
  .map((names) => Object.keys(names))
  .map(([name, ...aliases]) => (aliases.length === 0 ? name : `${name} (or ${aliases.join(', ')})`))
  .join(' and ');

/** Keys that have a meaning, in the order of docs/configuration.md, which describes them. */
export const USED_KEYS = {
  storage: optional(
    choice<StorageConfig['driver']>(
      STORAGES,
      Object.fromEntries(Object.values(STORAGE_NAMES).flatMap((names) => Object.entries(names))),
    ),
  ),
  storage_path: optional(text),
  storage_redirect: withDefault(boolean, false),
  /** `copy`: projections get layers of their own. `link`: v1 is served from the blobs. Default by storage. */
  v1_layers: optional(choice<'copy' | 'link'>('copy or link', { copy: 'copy', link: 'link' })),
  /** When the projections of a tag are made: behind the push that sets it, or by the first v1 request that needs them. */
  v1_projection: withDefault(choice<'eager' | 'lazy'>('eager or lazy', { eager: 'eager', lazy: 'lazy' }), 'eager'),
  /** Whether the collector removes images that v1 clients pushed and nothing names. */
  v1_images: withDefault(choice<'keep' | 'collect'>('keep or collect', { keep: 'keep', collect: 'collect' }), 'keep'),
  nginx_x_accel_redirect: optional(orOff(text)),
  loglevel: withDefault<LogLevel>(logLevel, 'info'),
  debug: withDefault(boolean, false),
  /** Body of `GET /`, as JSON. */
  issue: withDefault(anything, true),
  standalone: withDefault(boolean, true),
  disable_token_auth: withDefault(boolean, false),
  index_endpoint: optional(orOff(url)),
  registry_endpoints: optional(orOff(textOrList)),
  public_url: optional(orOff(url)),
  push_endpoint: optional(orOff(url)),
  absolute_locations: withDefault<AbsoluteLocations>(
    choice('auto, always or never', { auto: 'auto', always: 'always', never: 'never' }),
    'auto',
  ),
  v2_version_header: withDefault<V2VersionHeader>(
    choice('auto, always or never', { auto: 'auto', always: 'always', never: 'never' }),
    'auto',
  ),
  /** Path of a PEM file. */
  privileged_key: optional(orOff(text)),
  secret_key: secret(text),
  /** Earlier values of `secret_key`; signatures made with them are still accepted. */
  secret_key_previous: { ...optional(list), isSecret: true },
  search_backend: optional(orOff(text)),

  'auth.htpasswd': optional(htpasswd),
  'auth.realm': withDefault(
    matching(/^[\x20\x21\x23-\x5b\x5d-\x7e]{1,100}$/, 'a text of ASCII characters without " and \\'),
    'Stowage',
  ),
  'auth.groups': optional(mapOf(list)),
  'auth.oidc': optional(oidcRules),
  /** Number of trusted hops in X-Forwarded-For. */
  trusted_proxies: withDefault(integer(0, 16), 0),
  uploads_at_once: withDefault(integer(1, 10_000), 100),
  downloads_at_once: withDefault(integer(1, 10_000), 256),
  'unpacking.max_bytes': withDefault(integer(MiB), DEFAULT_UNPACK_LIMITS.maxBytes),
  'unpacking.max_ratio': withDefault(integer(1, 1_000_000), DEFAULT_UNPACK_LIMITS.maxRatio),
  access: optional(accessRules),
  /** Whether a pushed index requires its children to exist. */
  index_children: withDefault<IndexChildren>(
    choice('required or optional', { required: 'required', optional: 'optional' }),
    'required',
  ),
  /** Tags that no push may move. */
  immutable_tags: optional(immutableTags),
  /** How often the collector runs. */
  'gc.every': withDefault(duration(MIN_INTERVAL_MS), DAY_MS),
  /** How long a thing is condemned before the collector removes it. */
  'gc.grace': withDefault(duration(MIN_GRACE_MS), COLLECTION_TIMES.graceMs),
  /** What repositories may take up. */
  quotas: optional(quotas),
  /** How long a deleted or overwritten tag can be restored. */
  'retention.undo': withDefault(duration(), 14 * DAY_MS),
  'retention.rules': optional(retentionRules),
  /** Callers and user agents whose pulls do not count. */
  'retention.ignore_pulls_by': withDefault(list, [...SCANNERS]),

  /** Whether the Node process serves web pages. */
  'pages.enabled': withDefault(boolean, true),
  /** Whether the login of the pages takes passwords over plain HTTP from other machines. */
  'pages.insecure_login': withDefault(boolean, false),
  /** What verifies signatures on the pages. */
  'pages.trusted_keys': optional(trustedKeys),

  'mirroring.source': optional(orOff(url)),

  'cors.origins': optional(orOff(list)),
  'cors.methods': optional(list),
  'cors.headers': optional(list),
  'cors.expose_headers': optional(list),
  'cors.supports_credentials': optional(boolean),
  'cors.max_age': optional(integer(0)),

  boto_bucket: optional(bucket),
  s3_bucket: optional(bucket),
  s3_access_key: secret(text),
  s3_secret_key: secret(text),
  s3_region: optional(matching(/^[A-Za-z0-9-]+$/, 'a region such as eu-central-1')),
  s3_encrypt: withDefault(boolean, false),
  s3_secure: withDefault(boolean, true),
  boto_host: optional(
    matching(
      /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])$/,
      'a host name or address alone (the port goes to boto_port, http:// to s3_secure: false)',
    ),
  ),
  boto_port: optional(integer(1, 65_535)),
  boto_calling_format: withDefault<CallingFormat>(callingFormat, 'SubdomainCallingFormat'),
} satisfies Record<string, UsedKey<unknown>>;

export type KeyName = keyof typeof USED_KEYS;
export type ValueOf<K extends KeyName> = (typeof USED_KEYS)[K]['fallback'];

/** Two environment variables of docker-registry's launcher, read and shown like keys. */
export const HOST = withDefault(
  matching(/^[A-Za-z0-9._:-]+$/, 'a host name or an address to listen on, such as 127.0.0.1, 0.0.0.0 or ::'),
  '127.0.0.1',
);
export const PORT = withDefault(integer(0, 65_535), 5000);

/** How many processes serve; `auto` for one for each CPU. */
export const WORKERS = withDefault<number | 'auto'>(autoOr(integer(1, MAX_WORKERS)), 1);

const NO_CACHE = 'Stowage keeps no cache and needs no Redis';
const NO_GCS = 'Google Cloud Storage is not supported';
const NO_SWIFT = 'Swift is not supported';
const NO_GLANCE = 'Glance is not supported';
const NO_ELLIPTICS = 'Elliptics is not supported';
const NO_AZURE = 'Azure is not supported';
const NO_OSS = 'Aliyun OSS is not supported';
const NO_MIRROR = 'Stowage mirrors no other registry';
const NO_PROXY = 'requests to S3 go straight to it';

export const UNUSED_KEYS: Readonly<Record<string, UnusedKey>> = {
  'mirroring.source_index': { why: NO_MIRROR },
  'mirroring.tags_cache_ttl': { why: NO_MIRROR, ignoreDefault: true },
  'cors.send_wildcard': { why: "the origin '*' is always answered with *, each other with itself", isSetByFalse: true },
  'cors.always_send': { why: 'an origin is named where a request comes from it', isSetByFalse: true },
  'cors.automatic_options': { why: 'OPTIONS is always answered', isSetByFalse: true },
  'cors.vary_header': { why: 'Vary is sent wherever the answer depends on the origin', isSetByFalse: true },
  'cors.resources': { why: 'origins count for every path' },
  cache: { why: NO_CACHE, switchedOnBy: 'host' },
  cache_lru: { why: NO_CACHE, switchedOnBy: 'host' },
  email_exceptions: { why: 'errors go to the log, not into mail', switchedOnBy: 'smtp_host' },
  bugsnag: { why: 'errors go to the log' },
  sqlalchemy_index_database: { why: 'the search index needs no database', ignoreDefault: true },
  s3_use_sigv4: { why: 'all requests to S3 are signed with version 4' },
  boto_debug: { why: 'set loglevel to debug instead' },
  boto_proxy: { why: NO_PROXY },
  boto_proxy_port: { why: NO_PROXY },
  boto_proxy_user: { why: NO_PROXY },
  boto_proxy_pass: { why: NO_PROXY },
  cloudfront: { why: 'redirects lead to S3 itself' },
  gs_access_key: { why: NO_GCS },
  gs_secret_key: { why: NO_GCS },
  gs_secure: { why: NO_GCS },
  oauth2: { why: NO_GCS },
  swift_authurl: { why: NO_SWIFT },
  swift_container: { why: NO_SWIFT },
  swift_user: { why: NO_SWIFT },
  swift_password: { why: NO_SWIFT },
  swift_tenant_name: { why: NO_SWIFT },
  swift_region_name: { why: NO_SWIFT },
  swift_auth_version: { why: NO_SWIFT },
  storage_alternate: { why: NO_GLANCE },
  nodes: { why: NO_ELLIPTICS },
  groups: { why: NO_ELLIPTICS },
  'wait-timeout': { why: NO_ELLIPTICS },
  check_timeout: { why: NO_ELLIPTICS },
  'io-thread-num': { why: NO_ELLIPTICS },
  'net-thread-num': { why: NO_ELLIPTICS },
  nonblocking_io_thread_num: { why: NO_ELLIPTICS },
  verbosity: { why: NO_ELLIPTICS },
  logfile: { why: NO_ELLIPTICS },
  elliptics_nodes: { why: NO_ELLIPTICS },
  elliptics_groups: { why: NO_ELLIPTICS },
  elliptics_wait_timeout: { why: NO_ELLIPTICS },
  elliptics_check_timeout: { why: NO_ELLIPTICS },
  elliptics_io_thread_num: { why: NO_ELLIPTICS },
  elliptics_net_thread_num: { why: NO_ELLIPTICS },
  elliptics_nonblocking_io_thread_num: { why: NO_ELLIPTICS },
  elliptics_addr_family: { why: NO_ELLIPTICS },
  elliptics_verbosity: { why: NO_ELLIPTICS },
  elliptics_logfile: { why: NO_ELLIPTICS },
  azure_storage_account_name: { why: NO_AZURE },
  azure_storage_account_key: { why: NO_AZURE },
  azure_storage_container: { why: NO_AZURE },
  azure_use_https: { why: NO_AZURE },
  oss_host: { why: NO_OSS },
  oss_bucket: { why: NO_OSS },
  oss_accessid: { why: NO_OSS },
  oss_accesskey: { why: NO_OSS },
};

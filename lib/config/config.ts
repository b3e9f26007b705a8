import type { AuthConfig } from '../auth/create-authenticator.ts';
import type { UnpackLimits } from '../compression/unpack-limits.ts';
import type { AbsoluteLocations } from '../http/gateway-quirks.ts';
import type { IndexChildren } from '../registry/manifests/manifests.ts';
import type { StorageConfig } from '../storage/open.ts';
import type { V2VersionHeader } from '../v2/version-header.ts';
import { readAuth } from './auth.ts';
import type { ImmutableTags } from './immutable-tags.ts';
import { HOST, type LogLevel, PORT } from './keys.ts';
import { readS3Options } from './s3-options.ts';
import type { Settings } from './settings.ts';

/** As Flask-Cors names them; what is undefined was not set. */
export type CorsConfig = {
  origins: string[];
  methods: string[] | undefined;
  headers: string[] | undefined;
  exposeHeaders: string[] | undefined;
  supportsCredentials: boolean | undefined;
  maxAgeSeconds: number | undefined;
};

export type Config = {
  /** The file that was read, absolute. */
  file: string;
  /** Undefined if the top level of the file is the configuration. */
  flavor: string | undefined;
  host: string;
  /** 0 for any free one. */
  port: number;
  storage: StorageConfig;
  storageRedirect: boolean;
  /** Whether images that v2 pushed get layers of their own for v1, or v1 is served from the blobs. */
  v1Layers: 'copy' | 'link';
  /** Only with local storage. */
  nginxXAccelRedirect: string | undefined;
  logLevel: LogLevel;
  debug: boolean;
  /** What `GET /` answers as JSON. */
  issue: unknown;
  standalone: boolean;
  disableTokenAuth: boolean;
  /** Without a final slash. */
  indexEndpoint: string | undefined;
  /** Sent as it is; a list gives one header line each. */
  registryEndpoints: string | string[] | undefined;
  /** Origin under which clients reach the registry; without a final slash. */
  publicUrl: string | undefined;
  /** Origin of another process on the same storage, to which clients send layers; without a final slash. */
  pushEndpoint: string | undefined;
  /** Whether a `Location` has the origin of the registry in front. */
  absoluteLocations: AbsoluteLocations;
  /** Which clients are told that v2 is spoken here. */
  v2VersionHeader: V2VersionHeader;
  /** Path of a PEM file. */
  privilegedKey: string | undefined;
  secretKey: string | undefined;
  /** What it was before; signatures made with these are still accepted. */
  secretKeyPrevious: string[];
  /** Search is on if there is one; which is all the same. */
  searchBackend: string | undefined;
  /** Who may come in; undefined for everybody. */
  auth: AuthConfig | undefined;
  /** How many proxies in front are believed in what they say of clients. */
  trustedProxies: number;
  /** How many uploads one process takes at once; more of them wait. */
  uploadsAtOnce: number;
  /** How many downloads one process sends at once; more of them wait. */
  downloadsAtOnce: number;
  /** How much a compressed layer may unpack to. */
  unpackLimits: UnpackLimits;
  /** Whether the manifests that an index names have to be there. */
  indexChildren: IndexChildren;
  /** Tags that no push may move. */
  immutableTags: ImmutableTags;
  /** Whether `_ping` calls this a mirror, as docker-registry did. */
  isMirror: boolean;
  cors: CorsConfig | undefined;
};

/** @throws ConfigError */
export function readConfig(settings: Settings, file: string, flavor: string | undefined): Config {
  const storage = readStorage(settings);
  const standalone = settings.get('standalone');
  return {
    file,
    flavor,
    host: settings.variable('host', HOST, ['REGISTRY_HOST']),
    port: settings.variable('port', PORT, ['REGISTRY_PORT', 'PORT_WWW']),
    storage,
    storageRedirect: settings.get('storage_redirect'),
    // On disk a copy is a hard link, which costs nothing.
    v1Layers: settings.get('v1_layers', storage.driver === 'local' ? 'copy' : 'link'),
    nginxXAccelRedirect: readNginxRedirect(settings, storage),
    logLevel: settings.get('loglevel'),
    debug: settings.get('debug'),
    issue: settings.get('issue'),
    standalone,
    disableTokenAuth: settings.get('disable_token_auth'),
    indexEndpoint: settings.get('index_endpoint'),
    registryEndpoints: settings.get('registry_endpoints'),
    publicUrl: settings.get('public_url'),
    pushEndpoint: settings.get('push_endpoint'),
    absoluteLocations: settings.get('absolute_locations'),
    v2VersionHeader: settings.get('v2_version_header'),
    privilegedKey: settings.get('privileged_key'),
    secretKey: settings.get('secret_key'),
    secretKeyPrevious: settings.get('secret_key_previous') ?? [],
    searchBackend: readSearchBackend(settings),
    auth: readAuth(settings, { storage, standalone }),
    trustedProxies: settings.get('trusted_proxies'),
    uploadsAtOnce: settings.get('uploads_at_once'),
    downloadsAtOnce: settings.get('downloads_at_once'),
    unpackLimits: {
      maxBytes: settings.get('unpacking.max_bytes'),
      maxRatio: settings.get('unpacking.max_ratio'),
    },
    indexChildren: settings.get('index_children'),
    immutableTags: settings.get('immutable_tags') ?? [],
    isMirror: settings.get('mirroring.source') !== undefined,
    cors: readCors(settings),
  };
}

function readStorage(settings: Settings): StorageConfig {
  const driver = settings.get('storage');
  if (driver === undefined) settings.missing('storage', 'allowed: local (or file) and s3');
  const storage: StorageConfig =
    driver === 's3'
      ? { driver, options: readS3Options(settings) }
      : { driver, path: settings.get('storage_path', './tmp') };
  if (settings.isDefault('storage_path')) {
    const place = storage.driver === 's3' ? storage.options.keyPrefix : storage.path;
    settings.warn('storage_path', `is missing: everything is kept in ${place}, as docker-registry did`);
  }
  return storage;
}

function readNginxRedirect(settings: Settings, storage: StorageConfig): string | undefined {
  const prefix = settings.get('nginx_x_accel_redirect');
  if (prefix === undefined || storage.driver === 'local') return prefix;
  settings.warn('nginx_x_accel_redirect', 'is ignored: it needs local storage');
  return undefined;
}

function readSearchBackend(settings: Settings): string | undefined {
  const backend = settings.get('search_backend')?.toLowerCase();
  if (backend !== undefined && backend !== 'sqlalchemy') {
    settings.warn('search_backend', "names a Python module; Stowage's own search is used instead");
  }
  return backend;
}

function readCors(settings: Settings): CorsConfig | undefined {
  const origins = settings.get('cors.origins');
  if (!origins?.length) return undefined;
  return {
    origins,
    methods: settings.get('cors.methods'),
    headers: settings.get('cors.headers'),
    exposeHeaders: settings.get('cors.expose_headers'),
    supportsCredentials: settings.get('cors.supports_credentials'),
    maxAgeSeconds: settings.get('cors.max_age'),
  };
}

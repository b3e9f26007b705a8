import type { AuthSettings } from '../auth/create-auth.ts';
import type { UnpackLimits } from '../compression/unpack-limits.ts';
import type { JsonValue } from '../model/json.ts';
import type { LogLevel } from '../model/log.ts';
import type { IndexChildren } from '../registry/manifests/manifest-checks.ts';
import { configuredStorage, type StorageConfig } from '../storage/open.ts';
import type { V1Settings } from '../v1/options.ts';
import type { V2VersionHeader } from '../v2/version-header.ts';
import { readAuth } from './auth.ts';
import type { ImmutableTags } from './immutable-tags.ts';
import { HOST, PORT } from './keys.ts';
import type { Settings } from './settings.ts';
import { readStorage } from './storage.ts';

/** The settings of Flask-Cors; `undefined` where the key is not set. */
export type CorsConfig = {
  origins: string[];
  methods: string[] | undefined;
  headers: string[] | undefined;
  exposeHeaders: string[] | undefined;
  supportsCredentials: boolean | undefined;
  maxAgeSeconds: number | undefined;
};

export type Config = V1Settings &
  AuthSettings & {
    /** Absolute path of the configuration file. */
    file: string;
    host: string;
    /** 0 for any free port. */
    port: number;
    /** `copy`: projections get layers of their own. `link`: v1 is served from the blobs. */
    v1Layers: 'copy' | 'link';
    logLevel: LogLevel;
    /** What `GET /` answers as JSON. */
    issue: JsonValue;
    disableTokenAuth: boolean;
    /** Without a final slash. */
    indexEndpoint: string | undefined;
    /** Which clients get the header Docker-Distribution-Api-Version. */
    v2VersionHeader: V2VersionHeader;
    /** Path of a PEM file. */
    privilegedKey: string | undefined;
    secretKey: string | undefined;
    /** Earlier values; signatures made with them are still accepted. */
    secretKeyPrevious: string[];
    /** Number of trusted hops in X-Forwarded-For. */
    trustedProxies: number;
    /** Limits on the unpacked size of a compressed layer. */
    unpackLimits: UnpackLimits;
    /** Whether a pushed index requires its children to exist. */
    indexChildren: IndexChildren;
    /** Tags that no push may move. */
    immutableTags: ImmutableTags;
    cors: CorsConfig | undefined;
  };

/** @throws ConfigError */
export function readConfig(settings: Settings, file: string, flavor: string | undefined): Config {
  const storage = readStorage(settings);
  const isStandalone = settings.get('standalone');
  return {
    file,
    flavor,
    host: settings.variable('host', HOST, ['REGISTRY_HOST']),
    port: settings.variable('port', PORT, ['REGISTRY_PORT', 'PORT_WWW']),
    storage,
    storageRedirect: settings.get('storage_redirect'),
    v1Layers: settings.get('v1_layers', configuredStorage(storage).hasFreeCopies ? 'copy' : 'link'),
    nginxXAccelRedirect: readNginxRedirect(settings, storage),
    logLevel: settings.get('loglevel'),
    debug: settings.get('debug'),
    issue: settings.get('issue') as JsonValue,
    isStandalone,
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
    hasSearch: readHasSearch(settings),
    auth: readAuth(settings, { storage, isStandalone }),
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

function readNginxRedirect(settings: Settings, storage: StorageConfig): string | undefined {
  const prefix = settings.get('nginx_x_accel_redirect');
  if (prefix === undefined || configuredStorage(storage).directory !== undefined) return prefix;
  settings.warn('nginx_x_accel_redirect', 'is ignored: it needs local storage');
  return undefined;
}

/** Any value of `search_backend` enables search. */
function readHasSearch(settings: Settings): boolean {
  const backend = settings.get('search_backend')?.toLowerCase();
  if (backend !== undefined && backend !== 'sqlalchemy') {
    settings.warn('search_backend', "names a Python module; Stowage's own search is used instead");
  }
  return backend !== undefined;
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

import type { JsonValue } from '../model/json.ts';
import { COLLECTION_TIMES } from '../registry/condemned/times.ts';
import { configuredStorage, type StorageConfig } from '../storage/open.ts';
import type { TrustedKeySource } from '../ui/data/signatures/trusted-keys.ts';
import { readAuth } from './auth.ts';
import { HOST, PORT, WORKERS } from './keys.ts';
import type { Settings } from './settings.ts';
import { readStorage } from './storage.ts';

/** The web pages of the Node process. */
export type PagesConfig = {
  /** Whether their login takes passwords over plain HTTP from other machines. */
  allowsInsecureLogin: boolean;
  /** What verifies signatures. */
  trustedKeys: TrustedKeySource[];
};

/** The settings of Flask-Cors; `undefined` where the key is not set. */
export type CorsConfig = {
  origins: string[];
  methods: string[] | undefined;
  headers: string[] | undefined;
  exposeHeaders: string[] | undefined;
  supportsCredentials: boolean | undefined;
  maxAgeSeconds: number | undefined;
};

/** The effective configuration. The types of its values follow from the keys. */
export type Config = ReturnType<typeof readConfig>;

/**
 * @param file absolute path of the configuration file
 * @param flavor undefined if the top level of the file is the configuration
 * @throws ConfigError
 */
export function readConfig(settings: Settings, file: string, flavor: string | undefined) {
  const storage = readStorage(settings);
  const isStandalone = settings.get('standalone');
  return {
    file,
    flavor,
    host: settings.variable('host', HOST, ['REGISTRY_HOST']),
    port: settings.variable('port', PORT, ['REGISTRY_PORT', 'PORT_WWW']),
    workers: settings.variable('workers', WORKERS, ['STOWAGE_WORKERS']),
    storage,
    storageRedirect: settings.get('storage_redirect'),
    v1Projection: settings.get('v1_projection'),
    v1Layers: settings.get('v1_layers', configuredStorage(storage).hasFreeCopies ? 'copy' : 'link'),
    v1Images: settings.get('v1_images'),
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
    gc: readGc(settings),
    quotas: settings.get('quotas') ?? [],
    retention: {
      undoMs: settings.get('retention.undo'),
      rules: settings.get('retention.rules') ?? [],
      ignorePullsBy: settings.get('retention.ignore_pulls_by'),
    },
    pages: readPages(settings),
    isMirror: settings.get('mirroring.source') !== undefined,
    cors: readCors(settings),
  };
}

/** In milliseconds; without `everyMs` no schedule runs the collector. */
function readGc(settings: Settings): { everyMs?: number; graceMs: number } {
  if (settings.isSwitchedOff('gc')) return { graceMs: COLLECTION_TIMES.graceMs };
  return { everyMs: settings.get('gc.every'), graceMs: settings.get('gc.grace') };
}

/** Undefined where no pages are served. */
function readPages(settings: Settings): PagesConfig | undefined {
  if (settings.isSwitchedOff('pages') || !settings.get('pages.enabled')) return undefined;
  return {
    allowsInsecureLogin: settings.get('pages.insecure_login'),
    trustedKeys: settings.get('pages.trusted_keys') ?? [],
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

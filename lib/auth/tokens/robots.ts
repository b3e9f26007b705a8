// Robots: tokens that are made by hand, for a machine, and end when they say so or when somebody revokes them. The object
// is the token's other half: without it the token opens nothing.
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Key, lastPartOf, layout } from '../../model/layout.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { Action, Grant, TokenBearer } from '../callers/caller.ts';

/** The name that robots log in with; whose token it is says the token. */
export const ROBOT_USER = 'robot';

/** So that scanners find what should not lie in a repository. */
const PREFIX = 'stowage_';
const TOKEN = /^stowage_([0-9a-f-]{36})_([A-Za-z0-9_-]{43})$/;

/** How long a revoked token may go on, and a new one be unknown to a process that was asked for it before. */
const FRESH_MS = 30_000;
const MAX_REMEMBERED = 1000;

export type Robot = {
  id: string;
  /** For people and for the log. */
  name: string;
  repositories: string[];
  actions: Action[];
  createdAt: string;
  /** Undefined for one that goes on until it is revoked. */
  expiresAt: string | undefined;
};

type StoredRobot = Robot & { sha256: string };

type Remembered = { robot: Promise<StoredRobot | undefined>; until: number };

export class Robots {
  readonly #storage: StorageDriver;
  readonly #remembered = new LRUCache<string, Remembered>({ max: MAX_REMEMBERED });
  /** Ids of those whose right secret was shown: none that somebody made up pushes one out. */
  readonly #known = new LRUCache<string, true>({ max: MAX_REMEMBERED });

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** @returns the token, which is kept nowhere. One storage request. */
  async create(robot: Omit<Robot, 'id' | 'createdAt'>): Promise<{ robot: Robot; token: string }> {
    const id = randomUUID();
    const secret = randomBytes(32).toString('base64url');
    const created = { id, ...robot, createdAt: new Date().toISOString() };
    const stored: StoredRobot = { ...created, sha256: hashOf(secret) };
    await this.#storage.put(layout.robot(id), encodeText(JSON.stringify(stored)), AS_JSON);
    return { robot: created, token: `${PREFIX}${id}_${secret}` };
  }

  /** All, whether expired or not. One storage request for each, side by side, and one per 1,000. */
  async list(): Promise<Robot[]> {
    const keys = (await Array.fromAsync(this.#storage.list(layout.robots()))).map(({ key }) => key);
    const robots = await mapConcurrently(keys, (key) => this.#read(key));
    return robots.flatMap((robot) => (robot ? [withoutHash(robot)] : []));
  }

  /** False if there is no such robot. */
  async revoke(id: string): Promise<boolean> {
    if (!(await this.#storage.head(layout.robot(id)))) return false;
    await this.#storage.delete(layout.robot(id));
    this.#remembered.delete(id);
    return true;
  }

  /** Who has this token; `undefined` if it is none, has expired or was revoked. One storage request in half a minute. */
  async find(token: string): Promise<TokenBearer | undefined> {
    const [, id, secret] = TOKEN.exec(token) ?? [];
    if (id === undefined || secret === undefined) return undefined;
    const robot = await this.#active(id);
    if (!robot || !timingSafeEqual(Buffer.from(robot.sha256), Buffer.from(hashOf(secret)))) return undefined;
    this.#known.set(id, true);
    return bearerOf(robot);
  }

  /** The robot with this id, which something signed here names; `undefined` if it has expired or was revoked. As `find`. */
  async findById(id: string): Promise<TokenBearer | undefined> {
    const robot = await this.#active(id);
    return robot && bearerOf(robot);
  }

  async #active(id: string): Promise<StoredRobot | undefined> {
    const robot = await this.#remember(id);
    const hasEnded = robot?.expiresAt !== undefined && Date.parse(robot.expiresAt) < Date.now();
    if (robot && !hasEnded) return robot;
    this.#known.delete(id);
    return undefined;
  }

  /** Whether the token is of a robot that has been here: then it costs no more than a storage request in half a minute. */
  isKnown(token: string): boolean {
    const [, id = ''] = TOKEN.exec(token) ?? [];
    return this.#known.has(id);
  }

  async #remember(id: string): Promise<StoredRobot | undefined> {
    const known = this.#remembered.get(id);
    if (known && known.until > Date.now()) return await known.robot;
    const robot = this.#read(layout.robot(id));
    this.#remembered.set(id, { robot, until: Date.now() + FRESH_MS });
    robot.catch(() => this.#remembered.delete(id));
    return await robot;
  }

  async #read(key: Key): Promise<StoredRobot | undefined> {
    const object = await this.#storage.read(key);
    const value = object && parseJson(object.bytes);
    if (!isJsonObject(value) || typeof value.sha256 !== 'string' || value.sha256.length !== 64) return undefined;
    return { ...(value as unknown as StoredRobot), id: lastPartOf(key).replace(/\.json$/, '') };
  }
}

function bearerOf({ id, name, repositories, actions }: Robot): TokenBearer {
  const grants: Grant[] = repositories.map((pattern) => ({ pattern, actions }));
  return { kind: 'token', subject: `${ROBOT_USER}:${name}`, grants, robot: id, isFinal: true };
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function withoutHash({ sha256: _, ...robot }: StoredRobot): Robot {
  return robot;
}

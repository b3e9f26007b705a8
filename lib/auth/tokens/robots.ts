// Robots: callers for programs. The operator creates a robot's token, which ends when it expires or is revoked. Storage holds
// an object for each robot, with the hash of its secret; a token without its object is invalid.
import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { NO_PEERS, type Peers } from '../../concurrency/peers.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Key, layout, robotIdOf } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import { type Action, type Grant, ROBOT_USER, type TokenBearer } from '../callers/caller.ts';

/** Lets secret scanners find tokens that were committed by mistake. */
const PREFIX = 'stowage_';
const TOKEN = /^stowage_([0-9a-f-]{36})_([A-Za-z0-9_-]{43})$/;

/** For this long a process does not read a robot again: a revoked token still works, a new one may not yet. */
export const FRESH_MS = 30_000;
const MAX_REMEMBERED = 1000;

export type Robot = {
  id: string;
  /** For people and for the log; robots may share a name. */
  name: string;
  repositories: string[];
  actions: Action[];
  createdAt: string;
  /** ISO 8601; undefined for a robot that does not expire. */
  expiresAt: string | undefined;
};

type StoredRobot = Robot & { sha256: string };

/** A robot as it was read; empty if there was none. */
type Read = { robot?: StoredRobot };

export class Robots {
  readonly #storage: StorageDriver;
  readonly #recent = new LruCache<string, Read>({
    max: MAX_REMEMBERED,
    ttlMs: FRESH_MS,
    now: () => Date.now(), // goes on while a Lambda environment is frozen
  });
  /** Ids of robots that have logged in. Made-up ids are in `#recent` only, so they evict none of these. */
  readonly #known = new LruCache<string, true>({ max: MAX_REMEMBERED });

  readonly #peers: Peers;

  constructor(storage: StorageDriver, peers = NO_PEERS) {
    this.#storage = storage;
    this.#peers = peers;
    peers.hear('robot known', ({ id }) => this.#known.set(id, true));
  }

  /** @returns the robot and its token, which is not stored. One storage request. */
  async create(robot: Omit<Robot, 'id' | 'createdAt'>): Promise<{ robot: Robot; token: string }> {
    const id = randomUUID();
    const secret = randomBytes(32).toString('base64url');
    const created = { id, ...robot, createdAt: new Date().toISOString() };
    const stored: StoredRobot = { ...created, sha256: hashOf(secret) };
    await this.#storage.put(layout.robot(id), encodeText(JSON.stringify(stored)), AS_JSON);
    return { robot: created, token: `${PREFIX}${id}_${secret}` };
  }

  /** All robots, expired ones too. One storage request per robot, several at a time, and one per 1,000 for the list. */
  async list(): Promise<Robot[]> {
    const keys = (await Array.fromAsync(this.#storage.list(layout.robots()))).map(({ key }) => key);
    const robots = await mapConcurrently(keys, (key) => this.#read(key));
    return robots.flatMap((robot) => (robot ? [withoutHash(robot)] : []));
  }

  /** Deletes a robot, which makes its token invalid. Up to two storage requests. @returns false if there is no such robot */
  async revoke(id: string): Promise<boolean> {
    if (!(await this.#storage.head(layout.robot(id)))) return false;
    await this.#storage.delete(layout.robot(id));
    this.#recent.delete(id);
    return true;
  }

  /** The robot with this token; `undefined` if the token is invalid, expired or revoked. One storage request in 30 seconds. */
  async find(token: string): Promise<TokenBearer | undefined> {
    const [, id, secret] = TOKEN.exec(token) ?? [];
    if (id === undefined || secret === undefined) return undefined;
    const robot = await this.#active(id);
    if (!robot || !timingSafeEqual(Buffer.from(robot.sha256), Buffer.from(hashOf(secret)))) return undefined;
    if (!this.#known.has(id)) this.#peers.tell('robot known', { id });
    this.#known.set(id, true);
    return bearerOf(robot);
  }

  /** The robot with this id, taken from a signed token; `undefined` if it has expired or was revoked. As costly as `find`. */
  async findById(id: string): Promise<TokenBearer | undefined> {
    const robot = await this.#active(id);
    return robot && bearerOf(robot);
  }

  async #active(id: string): Promise<StoredRobot | undefined> {
    const { robot } = await this.#recent.fetch(id, async () => {
      const read = await this.#read(layout.robot(id));
      return read ? { robot: read } : {};
    });
    const hasEnded = robot?.expiresAt !== undefined && Date.parse(robot.expiresAt) < Date.now();
    if (robot && !hasEnded) return robot;
    this.#known.delete(id);
    return undefined;
  }

  /** Whether the token names a robot that has logged in before, so that reading it costs one storage request in 30 seconds. */
  isKnown(token: string): boolean {
    const [, id = ''] = TOKEN.exec(token) ?? [];
    return this.#known.has(id);
  }

  async #read(key: Key): Promise<StoredRobot | undefined> {
    const object = await this.#storage.read(key);
    const value = object && parseJson(object.bytes);
    if (!isJsonObject(value) || typeof value.sha256 !== 'string' || value.sha256.length !== 64) return undefined;
    return { ...(value as unknown as StoredRobot), id: robotIdOf(key) };
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

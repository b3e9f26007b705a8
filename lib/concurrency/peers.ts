/** What one worker of a server tells the others. Each is a fact that the others would find out later, or not at all. */
export type News = {
  /** A repository has something in it. */
  'repository filled': { repository: string };
  /** Something of a repository was deleted. */
  'repository reduced': { repository: string };
  /** What the pages list of a repository has changed. */
  'listing outdated': { repository: string };
  /** A blob was linked; `atMs` as `Date.now`. */
  'blob linked': { repository: string; digest: string; sizeBytes: number; atMs: number };
  /** A tag has moved; `atMs` is the time of the entry in its history. */
  'tag moved': { name: string; atMs: number };
  /** A password is right; `key` is the HMAC by which `PasswordLogins` remembers it. */
  'password right': { key: string };
  'robot known': { id: string };
};

/**
 * The other workers of the same server. News reach them within about a millisecond, and in the order in which this worker tells
 * them. A worker that starts later does not hear earlier news.
 */
export interface Peers {
  tell<T extends keyof News>(topic: T, news: News[T]): void;
  /** Calls `listener` with the news of other workers, not with those of this one. */
  hear<T extends keyof News>(topic: T, listener: (news: News[T]) => void): void;
}

/** For a process that serves alone. */
export const NO_PEERS: Peers = { tell: () => undefined, hear: () => undefined };

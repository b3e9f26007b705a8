/** What each request of a push needs to know of its caller. */
export type PushOptions = {
  /** Names the pusher record, by which the caller may read what it has pushed before a tag names it. */
  pusherId: string;
  /** Whether the caller may read the image now. */
  mayRead: () => Promise<boolean>;
};

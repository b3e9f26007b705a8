import type { Action } from './caller.ts';

/** What is kept of each write, each delete, and whatever was refused. No password, no token, no query. */
export type AuditEntry = {
  /** A user's name, `robot:ci`, `anonymous`; of a login that failed the name that was claimed. */
  who: string;
  action: Action | 'login';
  outcome: 'done' | 'refused' | 'failed';
  status: number;
  method: string;
  path: string;
  repository?: string;
  tag?: string;
  digest?: string;
  image?: string;
  /** Why it was refused. */
  reason?: string;
  /** Address of the client. */
  from?: string;
  requestId?: string;
};

export type Audit = (entry: AuditEntry) => void;

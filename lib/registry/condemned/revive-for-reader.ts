import { RegistryError } from '../../model/errors.ts';

/** Clients rely on the answer to a HEAD or GET, and do not push what is there. So what such a caller reads becomes live. */
export type Reader = {
  /** Whether the caller that reads may push to the repository. Asked only if what it reads is condemned. Default no. */
  mayPush?: () => boolean;
};

/** Makes a condemned object live for its reader. A registry that serves reads only leaves the object as it is. */
export async function reviveForReader(revive: () => Promise<unknown>): Promise<void> {
  try {
    await revive();
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'UNSUPPORTED') throw error;
  }
}

/**
 * `error`: something that clients ask for is broken, or soon will be. `warning`: garbage, leftovers, and what Stowage does not
 * know; nothing that is served depends on it.
 */
export type Severity = 'error' | 'warning';

type Kind = { severity: Severity; advice: string };

const PUSH_AGAIN = 'push the image again; crane sends it only under another tag';
const COLLECTED = 'nothing: the collector removes it';
const NOT_OURS = 'nothing: Stowage neither reads nor changes it. Delete it if it is not wanted';

/** What `fsck` finds, and what the operator does about it where `--repair` does not. */
export const FINDINGS = {
  'bad-layout-record': { severity: 'error', advice: 'restore oci/layout.json from a backup' },
  'no-layout-record': {
    severity: 'warning',
    advice: 'run a server, or fsck --repair: nothing is collected without it',
  },
  'old-layout': { severity: 'warning', advice: 'stop every process of version 0.1.0, then run fsck --repair' },

  'bad-tag': { severity: 'warning', advice: 'delete it: no client can read it' },
  'dangling-tag': { severity: 'error', advice: 'push the image again, or delete the tag' },
  'bad-manifest': { severity: 'error', advice: PUSH_AGAIN },
  'missing-child': {
    severity: 'error',
    advice: 'push the index again with all its children; crane sends it only under another tag',
  },
  'missing-link': { severity: 'error', advice: PUSH_AGAIN },
  'bad-link': { severity: 'error', advice: `run fsck --repair, then ${PUSH_AGAIN}` },
  'dangling-link': { severity: 'error', advice: `run fsck --repair, then ${PUSH_AGAIN}` },
  'link-of-other-size': { severity: 'error', advice: `run fsck --repair, then ${PUSH_AGAIN}` },
  'dangling-referrer': { severity: 'error', advice: 'push the artifact again, or run fsck --repair' },
  'missing-referrer': { severity: 'error', advice: 'push the artifact again, or run fsck --repair' },

  'pointer-without-data': { severity: 'error', advice: 'run fsck --repair, so that no push relies on it' },
  'pointer-of-other-size': { severity: 'error', advice: 'run fsck --repair, which hashes the bytes' },
  'missing-pointer': { severity: 'error', advice: 'run fsck --repair before the next collection' },
  'corrupt-bytes': { severity: 'error', advice: `run fsck --repair, then ${PUSH_AGAIN}` },
  'link-to-corrupt-bytes': { severity: 'error', advice: `run fsck --repair, then ${PUSH_AGAIN}` },
  'unlinked-bytes': { severity: 'warning', advice: COLLECTED },
  'unnamed-data': { severity: 'warning', advice: COLLECTED },
  'leftover-mark': { severity: 'warning', advice: COLLECTED },
  'leftover-upload': { severity: 'warning', advice: 'a lifecycle rule of the bucket, or the server, removes it' },

  'incomplete-image': { severity: 'error', advice: 'push the image again by a v1 client, or delete its tags' },
  'torn-projection': { severity: 'error', advice: 'run fsck --repair, then pull the tag by a v1 client' },
  'unfinished-projection': { severity: 'warning', advice: 'nothing: the next v1 pull makes it' },
  'missing-layer': { severity: 'error', advice: 'push the image again' },
  'missing-marker': { severity: 'error', advice: 'run fsck --repair before the next collection' },
  'unfinished-push': { severity: 'warning', advice: 'push the image again, or leave it' },
  'stale-grant': { severity: 'warning', advice: COLLECTED },

  'unknown-key': { severity: 'warning', advice: NOT_OURS },
} as const satisfies Record<string, Kind>;

export type FindingKind = keyof typeof FINDINGS;

export type Finding = {
  kind: FindingKind;
  severity: Severity;
  /** The object that is damaged, or that names what is missing. */
  key: string;
  detail: string;
  /** What the operator does. */
  advice: string;
  /** What a repair does, and whether it is done. Absent where nothing can be repaired. `needsPush`: the image has to be pushed again. */
  repair?: { action: string; isDone: boolean; needsPush?: true };
};

/**
 * What a repair has done. `false`: there is nothing to repair it with, or storage has changed meanwhile. `needs push`: damaged
 * bytes are served no more, and the next push of the image sends them again.
 */
export type RepairOutcome = boolean | 'needs push';

/** A repair of one finding. */
export type Repair = { action: string; run: () => Promise<RepairOutcome> };

/** `off`: only look. `plan`: say what a repair would do. */
export type RepairMode = 'off' | 'plan' | 'on';

/** Passes on what is found, and repairs it. */
export class Findings {
  readonly #mode: RepairMode;
  readonly #onFinding: (finding: Finding) => void | Promise<void>;
  readonly counts = { errors: 0, warnings: 0, repaired: 0 };

  constructor(mode: RepairMode, onFinding: (finding: Finding) => void | Promise<void>) {
    this.#mode = mode;
    this.#onFinding = onFinding;
  }

  get repairs(): boolean {
    return this.#mode === 'on';
  }

  /** Runs the repair, if repairs are on. What needs a push counts as an error until then. */
  async add(kind: FindingKind, key: string, detail: string, repair?: Repair): Promise<void> {
    const { severity, advice } = FINDINGS[kind];
    const outcome = repair !== undefined && this.repairs && (await repair.run());
    const isDone = outcome !== false;
    const needsPush = outcome === 'needs push';
    const shown = repair &&
      (isDone || this.#mode !== 'on') && {
        repair: { action: repair.action, isDone, ...(needsPush && { needsPush }) },
      };
    if (isDone && !needsPush) this.counts.repaired++;
    else if (severity === 'error') this.counts.errors++;
    else this.counts.warnings++;
    await this.#onFinding({ kind, severity, key, detail, advice, ...shown });
  }
}

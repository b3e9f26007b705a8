import { userInfo } from 'node:os';
import type { Config } from '../../config/config.ts';
import { parseV1RepositoryName, parseV1Tag, type RepositoryName, type Tag } from '../../model/names.ts';
import type { RestoreChoice } from '../../registry/history/restore-tag.ts';
import { jsonOfMove } from '../../registry/history/tag-history.ts';
import type { Registry } from '../../registry/registry.ts';
import { parseShownTarget, showTarget, type TagTarget } from '../../registry/tags/target.ts';
import { openForCommand } from './open-for-command.ts';

/** The characters of a digest that a table shows: `sha256:` and twelve digits. */
const SHOWN_CHARACTERS = 19;

const TIME = /^\d{4}-\d\d-\d\d/;

/** @throws Error if storage cannot be used */
export async function printHistory(
  config: Config,
  name: string,
  { number: size, json }: { number: number; json: boolean },
): Promise<void> {
  const { repository, tag } = parseName(name);
  await withRegistry(config, { writes: false }, async ({ history }) => {
    const { moves } = await history.list(repository, tag, { size });
    if (json) {
      for (const move of moves) console.log(JSON.stringify(jsonOfMove(move)));
      return;
    }
    if (moves.length === 0) return console.log(`${repository}:${tag} has no history`);
    const rows = moves.map(({ at, by = '?', from, to }, index) => [
      String(index + 1),
      at.toISOString().replace('T', ' ').replace(/\.\d+/, ''),
      by,
      from ? shorten(from) : '-',
      to ? shorten(to) : 'deleted',
    ]);
    printTable([['#', 'when', 'who', 'from', 'to'], ...rows]);
  });
}

/** @throws Error if storage cannot be used; RegistryError if the history does not show it, or it is no longer there */
export async function restoreTag(
  config: Config,
  name: string,
  { to, dryRun, json }: { to?: string; dryRun: boolean; json: boolean },
): Promise<void> {
  const { repository, tag } = parseName(name);
  await withRegistry(config, { writes: !dryRun }, async (registry) => {
    const { tagRestoration } = registry;
    const plan = await tagRestoration.plan(repository, tag, await choiceOf(registry, { repository, tag, to }));
    if (!dryRun) await tagRestoration.restore(repository, plan, operatorName());
    const from = plan.before ? showTarget(plan.before.target) : null;
    const target = showTarget(plan.to);
    if (json) return console.log(JSON.stringify({ repository, tag, from, to: target, dryRun }));
    const verb = dryRun ? 'would name' : 'names';
    console.log(`${repository}:${tag} ${verb} ${target} again, in place of ${from ?? 'nothing'}`);
  });
}

async function withRegistry(
  config: Config,
  options: { writes: boolean },
  work: (registry: Registry) => Promise<void>,
): Promise<void> {
  const { registry, close } = await openForCommand(config, options);
  try {
    await work(registry);
  } finally {
    await close();
  }
}

/** Reads `team/app:1.0`. @throws Error, RegistryError NAME_INVALID, TAG_INVALID */
function parseName(name: string): { repository: RepositoryName; tag: Tag } {
  const colon = name.lastIndexOf(':');
  if (colon <= 0) throw new Error(`${name} is not a repository and a tag: write team/app:1.0`);
  return { repository: parseV1RepositoryName(name.slice(0, colon)), tag: parseV1Tag(name.slice(colon + 1)) };
}

async function choiceOf(
  { history }: Registry,
  { repository, tag, to }: { repository: RepositoryName; tag: Tag; to: string | undefined },
): Promise<RestoreChoice> {
  if (to === undefined) return 'previous';
  if (/^\d{1,4}$/.test(to)) {
    const { moves } = await history.list(repository, tag, { size: Number(to) });
    const entry = moves[Number(to) - 1]?.entry;
    if (entry === undefined) throw new Error(`the history of ${repository}:${tag} has no move ${to}`);
    return { entry };
  }
  if (!TIME.test(to)) return { digest: parseShownTarget(to) };
  const at = new Date(to);
  if (Number.isNaN(at.getTime())) throw new Error(`${to} is not a time such as 2026-01-31T12:00Z`);
  return { at };
}

/** The name in the history of who runs the command: no user of the registry has a name with a space. */
function operatorName(): string {
  try {
    return `operator ${userInfo().username}`;
  } catch {
    return 'operator'; // the system has no name for the user id
  }
}

function shorten(target: TagTarget): string {
  return showTarget(target).slice(0, SHOWN_CHARACTERS);
}

function printTable(rows: readonly string[][]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

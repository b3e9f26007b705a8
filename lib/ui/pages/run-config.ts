import { type ImageDetails, runConfig } from '../data/image-details.ts';
import { cut } from '../html/format.ts';
import { type Html, html, isRecorded, NOTHING, timeHtml } from '../html/html.ts';
import { TEXTS } from '../html/texts.ts';
import { type Fact, factsHtml } from './facts.ts';
import { MAX_ROWS } from './layers.ts';

const T = TEXTS.image;

/** How an image runs: entrypoint, command, environment, labels. */
export function runHtml({ config = {} }: ImageDetails): Html {
  const run = runConfig(config);
  const code = (text: string) => html`<code>${cut(text)}</code>`;
  const facts: Fact[] = [
    [T.config.platform, run.platform === undefined ? undefined : html`${run.platform}`],
    [T.config.created, isRecorded(run.createdAt) ? timeHtml(run.createdAt, new Date()) : undefined],
    [T.config.entrypoint, run.entrypoint.length > 0 ? code(run.entrypoint.join(' ')) : undefined],
    [T.config.command, run.command.length > 0 ? code(run.command.join(' ')) : undefined],
    [T.config.user, run.user === undefined ? undefined : code(run.user)],
    [T.config.directory, run.directory === undefined ? undefined : code(run.directory)],
    [T.config.ports, run.ports.length > 0 ? code(run.ports.join(', ')) : undefined],
    [T.config.volumes, run.volumes.length > 0 ? code(run.volumes.join(', ')) : undefined],
    [T.config.author, run.author === undefined ? undefined : html`${cut(run.author)}`],
  ];
  const environment = run.environment.map((line): [string, string] => {
    const at = line.indexOf('=');
    return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
  });
  return html`<h2>${T.runs}</h2>${factsHtml(facts)}
${pairsHtml(T.environment, environment)}${pairsHtml(T.labels, run.labels)}`;
}

/** Names and values that an image has: labels, annotations. */
export function pairsHtml(title: string, pairs: readonly [string, string][]): Html {
  if (pairs.length === 0) return NOTHING;
  const shown = pairs.slice(0, MAX_ROWS).map(([name, value]): Fact => [html`<code>${cut(name)}</code>`, cut(value)]);
  return html`<h2>${title}</h2>${factsHtml(shown)}`;
}

import type { Digest, RepositoryName } from '../../model/names.ts';
import type { ShownSignature } from '../data/read-signatures.ts';
import type { CertificateClaims } from '../data/signatures/certificates.ts';
import { cut, exactTime } from '../html/format.ts';
import { digestHtml, type Html, html, NOTHING, timeHtml } from '../html/html.ts';
import { digestPath } from '../html/links.ts';
import { TEXTS } from '../html/texts.ts';
import { type Fact, factsHtml } from './facts.ts';

const T = TEXTS.signatures;

const MAX_DIGESTS = 5;
const MAX_ANNOTATIONS = 20;
const MAX_CHARACTERS = 500;

/** What signatures of a manifest say, and which of them are verified. */
export function signaturesHtml(
  repository: RepositoryName,
  subject: Digest,
  { signatures, hiddenCount }: { signatures: readonly ShownSignature[]; hiddenCount: number },
): Html {
  if (signatures.length === 0) return NOTHING;
  return html`<h2>${T.title}</h2><p class="muted">${T.note}</p>
${signatures.map((signature) => signatureHtml(repository, subject, signature))}
${hiddenCount > 0 ? html`<p class="muted">${T.notShown(hiddenCount)}</p>` : NOTHING}`;
}

function signatureHtml(repository: RepositoryName, subject: Digest, signature: ShownSignature): Html {
  const { claims, manifest } = signature;
  const { facts } = T;
  const isVerified = 'signer' in signature;
  const isRead = isVerified || claims.digests.length > 0 || signature.problem === 'otherDigest';
  const chip = isVerified
    ? html`<span class="chip">${T.verified(signature.signer)}</span>`
    : html`<span class="chip warn">${T.notVerified}</span>`;
  const rows: Fact[] = [
    [facts.why, isVerified ? undefined : html`${T.problems[signature.problem]}`],
    [facts.digest, isRead ? digestsHtml(claims.digests, subject) : undefined],
    [facts.reference, textHtml(claims.reference)],
    [facts.predicateType, textHtml(claims.predicateType)],
    ...claims.annotations
      .slice(0, MAX_ANNOTATIONS)
      .map(([name, value]): Fact => [html`<code>${cut(name, MAX_CHARACTERS)}</code>`, textHtml(value)]),
    [facts.signedAt, dateHtml(claims.signedAt)],
    [facts.expiresAt, claims.expiresAt && html`${exactTime(claims.expiresAt)}`],
    ...certificateRows(claims.certificate, (name) => name),
    ...certificateRows(claims.beside?.certificate, T.claimed),
    [T.loggedAt, dateHtml(claims.beside?.loggedAt)],
    [facts.from, html`<a href="${digestPath(repository, manifest)}">${digestHtml(manifest)}</a>`],
  ];
  return html`<div class="panel claim"><p>${chip} ${T.formats[claims.format]}</p>${factsHtml(rows)}</div>`;
}

function digestsHtml(digests: readonly string[], subject: Digest): Html {
  if (digests.includes(subject)) return html`${T.thisManifest}`;
  if (digests.length === 0) return html`${T.noDigest}`;
  const more = digests.length - MAX_DIGESTS;
  return html`${digests.slice(0, MAX_DIGESTS).map((digest) => html`<code>${cut(digest, MAX_CHARACTERS)}</code> `)}${more > 0 ? T.andMore(more) : NOTHING}`;
}

function certificateRows(certificate: CertificateClaims | undefined, label: (name: string) => string): Fact[] {
  if (!certificate) return [];
  const { validFrom, validTo } = certificate;
  const { facts } = T;
  return [
    [label(facts.subject), textHtml(certificate.subject)],
    [label(facts.identity), textHtml(certificate.identity)],
    [label(facts.identityProvider), textHtml(certificate.identityProvider)],
    [label(facts.issuer), textHtml(certificate.issuer)],
    [label(facts.validity), validFrom && validTo && html`${exactTime(validFrom)} – ${exactTime(validTo)}`],
  ];
}

function textHtml(text: string | undefined): Html | undefined {
  return text === undefined || text === '' ? undefined : html`<code>${cut(text, MAX_CHARACTERS)}</code>`;
}

function dateHtml(at: Date | undefined): Html | undefined {
  return at && timeHtml(at, new Date());
}

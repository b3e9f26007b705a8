// Implements the custom resource `Started` of infra/push-endpoint.yaml: an update of the stack fails and is rolled back before
// a revision of the push endpoint that does not start gets requests. Lambda calls a revision active once it is built.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
import type { CloudFormationCustomResourceEvent, CloudFormationCustomResourceResponse } from 'aws-lambda';

/** Together with the last attempt and the answer it must fit into the function's timeout. */
const PATIENCE_MS = 4 * 60 * 1000;
const PAUSE_MS = 5000;
const REQUEST_MS = 30_000;

export type Patience = { patienceMs?: number; pauseMs?: number };

/** Answers by a PUT to the event's `ResponseURL`; without one CloudFormation waits until its own timeout. */
export async function handler(event: CloudFormationCustomResourceEvent): Promise<void> {
  const answer = await answerTo(event);
  console.log(JSON.stringify(answer));
  await fetch(event.ResponseURL, {
    method: 'PUT',
    headers: { 'Content-Type': '' }, // the URL is signed without a type
    body: Buffer.from(JSON.stringify(answer)),
  });
}

export async function answerTo(
  event: CloudFormationCustomResourceEvent,
  { patienceMs = PATIENCE_MS, pauseMs = PAUSE_MS }: Patience = {},
): Promise<CloudFormationCustomResourceResponse> {
  const { StackId, RequestId, LogicalResourceId } = event;
  const before = event.RequestType === 'Create' ? undefined : event.PhysicalResourceId;
  const answer = (id: string) => ({ StackId, RequestId, LogicalResourceId, PhysicalResourceId: id });
  if (event.RequestType === 'Delete') return { ...answer(event.PhysicalResourceId), Status: 'SUCCESS' };
  const { Url, RevisionId } = event.ResourceProperties;
  // A rollback returns to a revision that has started before, and must not fail for the reason of the update's failure.
  const problem = before === RevisionId ? undefined : await problemOf(new URL('/readyz', Url), patienceMs, pauseMs);
  if (problem === undefined) return { ...answer(RevisionId), Status: 'SUCCESS', Data: { RevisionId } };
  const Reason = `revision ${RevisionId} of the push endpoint does not start: ${problem}; its log group tells why`;
  return { ...answer(before ?? RevisionId), Status: 'FAILED', Reason };
}

/** Why the server is not ready, or undefined once it is. */
async function problemOf(url: URL, patienceMs: number, pauseMs: number): Promise<string | undefined> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const problem = await fetch(url, { signal: AbortSignal.timeout(REQUEST_MS) }).then(
      ({ status }) => (status === 200 ? undefined : `${url} answers ${status}`),
      (error: Error) => `${url} does not answer (${error.cause ?? error.message})`,
    );
    if (problem === undefined || Date.now() + pauseMs > deadline) return problem;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

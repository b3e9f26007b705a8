// The matrix of test/auth, behind the gateway, with both kinds of challenge.
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { type MatrixRegistry, matrixSuite } from '../auth/matrix.ts';
import { BEARERS } from '../auth/matrix-endpoints.ts';
import { type Asked, bearerChallenge, expectedOf, type Place } from '../auth/matrix-rules.ts';
import { deployWithAccess, originOf, REALM } from './deploy-with-access.ts';
import { fetchFrom } from './fetch-from.ts';

matrixSuite('behind the gateway', { start, expected: expectedBehindGateway });

const MESSAGE = 'log in first, with the right password';
/** The gateway does not know which protocol it speaks. */
const REFUSAL = JSON.stringify({ error: MESSAGE, errors: [{ code: 'UNAUTHORIZED', message: MESSAGE }] });

/**
 * How the gateway changes the answers. It refuses requests without a valid login itself, all with the same answer, because it
 * authenticates callers and knows no access rules. Refusals by the function have their challenge renamed.
 */
function expectedBehindGateway(asked: Asked, place: Place): string {
  const { endpoint } = asked;
  if (!passesGateway(asked, place)) {
    const body = endpoint.method === 'HEAD' ? '' : ` ${REFUSAL}`;
    const challenge = place.isOpenToAll ? bearerChallenge(place.origin) : `Basic realm="${place.realm}"`;
    return `401${body} ${challenge}`;
  }
  return expectedOf(asked, place).replace(/ (?=(?:Basic|Bearer) realm=)/, ' hidden ');
}

function passesGateway({ endpoint: { method, path }, who }: Asked, { isOpenToAll }: Place): boolean {
  if (method === 'GET' && path === '/v1/_ping') return true;
  // Not even upload sessions are open here: clients that take them elsewhere do not send their login along, and go to the
  // push endpoint.
  if (who === 'wrong' || who === 'expired') return false;
  if (who !== 'anonymous') return true;
  return isOpenToAll && (path.startsWith('/v1/') || path === '/v2/_token');
}

async function start(access: object[], isOpenToAll: boolean): Promise<MatrixRegistry> {
  const deployment = await deployWithAccess(BEARERS, access, isOpenToAll);
  const driver = new S3Driver({ ...deployment.minio.driverOptions, keyPrefix: 'registry/' });
  return {
    url: deployment.gateway.url,
    driver,
    place: { isOpenToAll, realm: REALM, origin: originOf(deployment, isOpenToAll), givesUrls: true },
    send: async (url, request, client) =>
      await fetchFrom(url, { localAddress: `127.1.${client >> 8}.${client % 256}`, ...request }),
    async stop() {
      await driver.close();
      await deployment.stop();
    },
  };
}

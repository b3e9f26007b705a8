import { Hono } from 'hono';
import { claimed } from '../auth/audit.ts';
import { nameOf } from '../auth/callers/caller.ts';
import type { Gate } from '../auth/gate.ts';
import { callerOf } from '../auth/request-caller.ts';
import type { TokenAnswer, TokenService } from '../auth/token-service.ts';
import { clientAddressOf } from '../http/client-address.ts';
import { readBody } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import { decodeText, KiB } from '../streams/bytes.ts';

const MAX_FORM_BYTES = 64 * KiB;

const NOT_STORED = { 'Cache-Control': 'no-store' };

/**
 * Issues tokens to callers that have logged in, and to anonymous ones where a rule gives them something.
 * @see https://distribution.github.io/distribution/spec/auth/token/
 * @see https://distribution.github.io/distribution/spec/auth/oauth/
 */
export const tokenRoutes = (service: TokenService, gate: Gate) =>
  new Hono()
    .get('/_token', gate.allowTokenRequest, async (c) =>
      c.json(
        await gate.withChallenge(c, nameOf(callerOf(c)), () =>
          service.grant(callerOf(c), c.req.queries('scope') ?? []),
        ),
        200,
        NOT_STORED,
      ),
    )
    .post('/_token', async (c) => {
      const form = new URLSearchParams(decodeText(await readBody(c, MAX_FORM_BYTES, 'the form')));
      return c.json(
        await gate.withChallenge(c, claimed(form.get('username')), () =>
          grantByForm(service, form, clientAddressOf(c)),
        ),
        200,
        NOT_STORED,
      );
    });

async function grantByForm(
  service: TokenService,
  form: URLSearchParams,
  address: string | undefined,
): Promise<TokenAnswer> {
  const scopes = form.getAll('scope');
  switch (form.get('grant_type')) {
    case 'password': {
      const login = { name: form.get('username') ?? '', password: form.get('password') ?? '' };
      const isOffline = form.get('access_type') === 'offline';
      return await service.grantByPassword({ ...login, isOffline, ...(address && { address }) }, scopes);
    }
    case 'refresh_token':
      return await service.grantByRefreshToken(form.get('refresh_token') ?? '', scopes);
    default:
      throw new RegistryError('UNSUPPORTED', 'grant_type must be password or refresh_token');
  }
}

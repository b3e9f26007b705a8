import { Hono } from 'hono';
import { accountOf } from '../../auth/request-caller.ts';
import { placeOf } from '../html/links.ts';
import { allowChange } from '../session/changes.ts';
import { allowForm } from '../session/forms.ts';
import { documentDownload } from './documents.ts';
import { restoredTag, restoreTag } from './history.ts';
import { imagePage } from './image.ts';
import { repositoryPage } from './repository.ts';
import type { Ui } from './ui.ts';

/** The pages of repositories and images: `/ui/r/team/api`, `/ui/r/team/api:1.0`, `/ui/r/team/api@sha256:…`. */
export const placeRoutes = (ui: Ui) =>
  new Hono()
    .get('/ui/r/*', async (c) => {
      const place = placeOf(c.req.path);
      ui.gate.check(c, 'pull', place.repository);
      if (place.digest !== undefined && c.req.query('download') !== undefined) {
        return await documentDownload(ui, c, place.repository, place.digest);
      }
      const reference =
        place.digest !== undefined
          ? { digest: place.digest }
          : place.tag !== undefined
            ? { tag: place.tag }
            : undefined;
      const make = () =>
        reference ? imagePage(ui, c, place.repository, reference) : repositoryPage(ui, c, place.repository);
      return await ui.pages.run(accountOf(c), make, c.req.raw.signal);
    })

    .post('/ui/r/*', allowForm(ui.sessions), allowChange(ui, 'push', restoredTag), (c) => restoreTag(ui, c));

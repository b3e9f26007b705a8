import { type Context, Hono } from 'hono';
import { NOT_CACHED } from '../http/error-response.ts';
import { lengthOf, parseRange } from '../http/range.ts';
import { bodyOf, clientSignalOf, readBody } from '../http/request.ts';
import { RegistryError } from '../model/errors.ts';
import { type ImageId, parseImageId } from '../model/names.ts';
import { parseImageJson } from '../registry/v1-images/image-json.ts';
import { imageUnknown, type ReadOfImage } from '../registry/v1-images/images.ts';
import type { PushOptions } from '../registry/v1-pushes/push-options.ts';
import type { ClaimedChecksums } from '../registry/v1-pushes/stored-sums.ts';
import type { ObjectInfo } from '../storage/driver.ts';
import { MiB } from '../streams/bytes.ts';
import { type Access, accessOf } from './access.ts';
import { answer, cachedForAYear } from './answers.ts';
import type { V1Options } from './options.ts';

/** JSONs of real images have a few kilobytes. */
const MAX_IMAGE_JSON_BYTES = MiB;

const TOO_OLD =
  'X-Docker-Checksum-Payload not set.  If you are using the Docker daemon, you should upgrade to version 0.10 or later';

export const imageRoutes = ({
  registry: { images, imageFiles, imagePushes, imageRights, v1Tags },
  allowImages,
  limits,
  isForAll,
  storageRedirect,
  nginxXAccelRedirect,
}: V1Options) => {
  /**
   * Returns what `load` reads of an image, if the caller may read it. The right is checked after the read: a pushed image may
   * become a projection in between, and storage says so before it has its JSON. A projection that lacks something, or whose objects
   * are not those that its grant describes, is made again.
   * @throws RegistryError IMAGE_UNKNOWN if the caller may not read the image
   */
  const read = async <T>(c: Context, id: ImageId, load: () => Promise<ReadOfImage<T>>): Promise<T> => {
    const [loaded] = await Promise.allSettled([load()]);
    const isOfPushed = loaded.status === 'fulfilled' && loaded.value.isOfPushed === true;
    const kind = await accessOf(c).findReadableKind(id, { isOfPushed });
    if (!kind) throw imageUnknown();
    const source = kind === 'projection' ? imageRights.sourceOf(id) : undefined;
    const asOfKind = async (loaded: ReadOfImage<T>) =>
      (await images.isOfKind(id, kind, loaded, source)) ? { value: loaded.value() } : undefined;
    const isTorn = (error: unknown) => isMissing(error) || (source !== undefined && isIncomplete(error));
    if (loaded.status === 'rejected' && (kind === 'pushed' || !isTorn(loaded.reason))) throw loaded.reason;
    if (loaded.status === 'fulfilled') {
      const found = (await asOfKind(loaded.value)) ?? (await asOfKind(await load()));
      if (found) return found.value;
    }
    const manifest = imageRights.manifestOf(id);
    if (!manifest || !(await v1Tags.projectAgain(manifest))) throw imageUnknown();
    // The grant that describes the projection may be another one now.
    imageRights.forget(id);
    if (!(await accessOf(c).findReadableKind(id))) throw imageUnknown();
    const loadedAgain = await load();
    if (!(await images.isOfKind(id, kind, loadedAgain, imageRights.sourceOf(id)))) throw imageUnknown();
    return loadedAgain.value();
  };

  const readList = (find: () => Promise<ObjectInfo>) => async () => {
    const list = await find();
    return { value: () => list };
  };

  /** Sends a stored list of files or of changed files. Neither changes once it is stored. */
  const sendList = async (c: Context, list: ObjectInfo) => {
    const headers = cachedForAYear(isForAll);
    if (isKnownToClient(c)) return c.body(null, 304, headers);
    const { sizeBytes } = list;
    const described = { 'Content-Type': 'application/json', 'Content-Length': String(sizeBytes), ...headers };
    if (c.req.method === 'HEAD') return c.body(null, 200, described);
    return c.body(await imageFiles.open(list), 200, described);
  };

  return new Hono()
    .get('/images/:id/json', allowImages('pull'), async (c) => {
      const id = parseImageId(c.req.param('id'));
      const { bytes, layerSizeBytes, checksums } = await read(c, id, () => images.json(id));
      if (isKnownToClient(c)) return c.body(null, 304, cachedForAYear(isForAll));
      for (const checksum of checksums) c.header('X-Docker-Checksum-Payload', checksum, { append: true });
      if (layerSizeBytes !== undefined) c.header('X-Docker-Size', String(layerSizeBytes));
      return c.body(bytes, 200, { 'Content-Type': 'application/json', ...cachedForAYear(isForAll) });
    })
    .put('/images/:id/json', allowImages('push'), async (c) => {
      const id = parseImageId(c.req.param('id'));
      const bytes = await readBody(c, MAX_IMAGE_JSON_BYTES, 'the image JSON');
      const json = parseImageJson(id, bytes);
      const access = accessOf(c);
      access.checkImage(id);
      // A checksum before the layer: no Docker since 0.6 sends one, but docker-registry accepted it.
      const claim = c.req.header('X-Docker-Checksum');
      const { checkParent } = access;
      await imagePushes.putJson(json, {
        ...pushOptions(access, id),
        checkParent,
        ...(claim !== undefined && { claim }),
      });
      return answer(c, true);
    })

    .get('/images/:id/ancestry', allowImages('pull'), async (c) => {
      const id = parseImageId(c.req.param('id'));
      const ancestry = await read(c, id, () => images.ancestry(id));
      if (isKnownToClient(c)) return c.body(null, 304, cachedForAYear(isForAll));
      return answer(c, ancestry, { headers: cachedForAYear(isForAll) });
    })

    .get('/images/:id/layer', allowImages('pull'), async (c) => {
      const id = parseImageId(c.req.param('id'));
      const layer = await read(c, id, () => images.layer(id));
      if (isKnownToClient(c)) return c.body(null, 304, cachedForAYear(isForAll));
      const range = parseRange(c.req.header('Range'), layer.sizeBytes);
      // Docker that resumes a layer at its end expects 416 with `Content-Length: 0`.
      if (range === 'unsatisfiable') {
        return c.body(null, 416, {
          ...NOT_CACHED,
          'Content-Length': '0',
          'Content-Range': `bytes */${layer.sizeBytes}`,
        });
      }
      const lengthBytes = lengthOf(range, layer.sizeBytes);
      const headers = {
        'Content-Type': 'application/octet-stream',
        'Content-Length': String(lengthBytes),
        'Accept-Ranges': 'bytes',
        ...(range && { 'Content-Range': `bytes ${range.start}-${range.end}/${layer.sizeBytes}` }),
        ...cachedForAYear(isForAll),
      };
      const status = range ? 206 : 200;
      if (c.req.method === 'HEAD') return c.body(null, status, headers);
      if (nginxXAccelRedirect) return c.body(null, 200, { 'X-Accel-Redirect': `${nginxXAccelRedirect}/${layer.key}` });
      const url = storageRedirect ? await images.presignLayer(layer) : undefined;
      if (url) return c.redirect(url.href, 302);
      const body = await limits.download(c, lengthBytes, () => images.readLayer(layer, range));
      return c.body(body, status, headers);
    })
    .put('/images/:id/layer', allowImages('push'), limits.limitUploads(), async (c) => {
      const id = parseImageId(c.req.param('id'));
      const access = accessOf(c);
      access.checkImage(id);
      await imagePushes.putLayer(id, bodyOf(c), { ...pushOptions(access, id), signal: clientSignalOf(c) });
      return answer(c, true);
    })

    .get('/images/:id/files', allowImages('pull'), async (c) => {
      const id = parseImageId(c.req.param('id'));
      if (!(await accessOf(c).findReadableKind(id))) throw imageUnknown(); // before the list is made
      return await sendList(
        c,
        await read(
          c,
          id,
          readList(() => imageFiles.find(id)),
        ),
      );
    })
    .get('/images/:id/diff', allowImages('pull'), async (c) => {
      const id = parseImageId(c.req.param('id'));
      return await sendList(
        c,
        await read(
          c,
          id,
          readList(() => imageFiles.findDiff(id)),
        ),
      );
    })

    .put('/images/:id/checksum', allowImages('push'), async (c) => {
      const id = parseImageId(c.req.param('id'));
      const access = accessOf(c);
      access.checkImage(id);
      await imagePushes.confirmChecksum(id, claimedChecksums(c), pushOptions(access, id));
      return answer(c, true);
    });
};

function isIncomplete(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'IMAGE_INCOMPLETE';
}

function isMissing(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'IMAGE_UNKNOWN';
}

function pushOptions({ pusherId, findReadableKind }: Access, id: ImageId): PushOptions {
  return { mayRead: async () => (await findReadableKind(id)) !== undefined, pusherId };
}

function claimedChecksums(c: Context): ClaimedChecksums {
  const payload = c.req.header('X-Docker-Checksum-Payload');
  const plain = c.req.header('X-Docker-Checksum');
  if (payload === undefined && plain === undefined) throw new RegistryError('CHECKSUM_MISSING', TOO_OLD);
  if (!payload && !plain) throw new RegistryError('IMAGE_CHECKSUM_INVALID', "Missing Image's checksum");
  return { ...(payload && { payload }), ...(plain && { plain }) };
}

/** Whether the client has the image already. The date does not matter, because a complete image does not change. */
function isKnownToClient(c: Context): boolean {
  return c.req.header('If-Modified-Since') !== undefined;
}

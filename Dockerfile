# Stowage as one Node process: a registry of its own, or a push endpoint. Reads config.yml and writes only to the storage of that
# file, by default the volume /stowage/data. Runs as an unprivileged user, also with a read-only root file system.
#
#   docker build -t stowage .
#   docker run -p 127.0.0.1:5000:5000 -v stowage:/stowage/data stowage
#   docker run --read-only -p 127.0.0.1:5000:5000 -e SETTINGS_FLAVOR=s3 -e AWS_BUCKET=... -e AWS_REGION=... -e SECRET_KEY=... stowage
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY lib lib
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24.21.0-bookworm-slim
WORKDIR /stowage
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY config.yml ./
# The storage of the default configuration. A new volume gets its owner and mode from this directory.
RUN install --directory --owner=1000 --group=1000 --mode=0700 data
VOLUME /stowage/data
# The variable of malloc is that of bin/stowage.js.
ENV NODE_ENV=production REGISTRY_HOST=0.0.0.0 REGISTRY_PORT=5000 MALLOC_MMAP_THRESHOLD_=1048576
EXPOSE 5000
# The image's user `node`, by number: the `runAsNonRoot` of Kubernetes accepts no name.
USER 1000:1000
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.REGISTRY_PORT}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=2", "dist/commands/cli.js"]
CMD ["serve"]

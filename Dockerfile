# syntax=docker/dockerfile:1

# Two images from one file:
#   docker build --target curfew -t curfew .        production: intake and controller, which one is an argument
#   docker build --target demo -t curfew-demo .     the demo: everything simulated, anybody signs in as anybody
# Production runs on a read-only root file system as a user that is not root, with a command and a configuration:
#   docker run --read-only -v ./curfew.yaml:/etc/curfew/curfew.yaml:ro curfew controller
#   docker run --read-only --tmpfs /tmp -p 127.0.0.1:8420-8422:8420-8422 curfew-demo

# Where you build for production, name both base images by digest: --build-arg RUST=rust@sha256:… --build-arg BASE=…@sha256:…
ARG RUST=rust:1.95.0-slim-bookworm
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST} AS chef
WORKDIR /src
# The image's own toolchain is the one of rust-toolchain.toml; naming it here keeps rustup from fetching components.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN cargo install --locked --version 0.1.78 cargo-chef

# What is compiled below changes with the manifests and the lock file only, so that a change of source compiles our crates alone.
FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path /recipe.json

# One package at a time: cargo would unite the features that several ask for, and the bill of materials is of this program alone.
FROM chef AS build
COPY --from=plan /recipe.json /recipe.json
RUN cargo chef cook --release --locked --recipe-path /recipe.json --package curfew-server
COPY . .
RUN cargo build --release --locked --package curfew-server --bin curfew \
  && cargo run --quiet --locked --package xtask -- sbom --out /sbom

FROM build AS build-demo
RUN cargo build --release --locked --package curfew-demo --bin curfew-demo \
  && cargo run --quiet --locked --package xtask -- sbom --package curfew-demo --program curfew-demo --out /sbom

FROM ${BASE} AS base
# The user `nonroot` of the base image, by number: Kubernetes' runAsNonRoot cannot judge a name.
USER 65532:65532
WORKDIR /
# No shell and no curl here: the program asks itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/curfew", "health"]
COPY --from=build /src/target/release/curfew /usr/local/bin/curfew
# What it is made of, and the licences that have to go with it.
COPY --from=build /src/LICENSE /sbom/curfew.cdx.json /sbom/curfew.licences.txt /usr/share/doc/curfew/

FROM base AS demo
COPY --from=build-demo /src/target/release/curfew-demo /usr/local/bin/curfew-demo
COPY --from=build-demo /sbom/curfew-demo.cdx.json /sbom/curfew-demo.licences.txt /usr/share/doc/curfew/
# Pages, simulated cloud, metrics. Published on the host's loopback only, as above.
EXPOSE 8420 8421 8422
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/curfew", "health", "--url", "http://127.0.0.1:8422/livez"]
# Inside a container loopback is nobody's; the demo warns that whoever reaches it may be anybody.
ENTRYPOINT ["/usr/local/bin/curfew-demo", "--listen", "0.0.0.0"]

# Last, so that it is what a build without --target makes.
FROM base AS curfew
ENV CURFEW_CONFIG=/etc/curfew/curfew.yaml
# IAP's side, and metrics with health.
EXPOSE 8080 9464
ENTRYPOINT ["/usr/local/bin/curfew"]
CMD ["--help"]

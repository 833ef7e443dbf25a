# The service with its sandbox and its embedded PostgreSQL, for one machine.
#
#   docker build -t upbit-ai-trader .
#   docker run --init --stop-timeout 30 -p 127.0.0.1:8080:8080 -v trader:/data \
#       -e TRADER_ADMIN_TOKEN=... upbit-ai-trader
#
# --init: an init process must reap what a crashed PostgreSQL leaves behind, or its data stays locked.
# The token: through a published port every request comes from another machine and sees /health*
# only (docs/operations.md).
# Paper and live mode refuse to start here without the token and TRADER_PASSWORD.
#
# `make image-check` builds this with buildah, without an engine or an image registry; the result
# has to trade. docs/deploy.md says what came of it; `docker build` itself was not run.

FROM python:3.12-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /venv
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The packages change less often than the program: a layer of their own.
COPY requirements/run.lock requirements/
RUN /venv/bin/pip install --no-deps --require-hashes -r requirements/run.lock
COPY . .
# Built with the setuptools from the lock: nothing is downloaded here.
RUN /venv/bin/pip install --no-deps --no-index --no-build-isolation .

FROM python:3.12-slim-bookworm
# initdb wants an account with a name. The number is fixed, so that volumes keep their owner.
RUN groupadd --gid 10001 trader \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home \
        --shell /usr/sbin/nologin trader \
    && install -d -o 10001 -g 10001 -m 0700 /data
# The base has no compiled modules and this account can write none: without these, each health
# check compiles the standard library anew and takes twice the processor time.
RUN python -m compileall -q -x '/(lib2to3|site-packages|test|tests)/' /usr/local/lib/python3.12
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TRADER_HOST=0.0.0.0 \
    TRADER_DATA_DIR=/data \
    TRADER_LOG_FORMAT=json
# Empty and not ours to write: `python -m` looks for modules here first, and the service for .env.
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# Without --start-interval: Docker before 25 and buildah refuse it. deploy/compose.yaml has it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-m", "service", "healthcheck"]
CMD ["python", "-m", "service", "run"]

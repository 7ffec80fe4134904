# The serving image: what the locks name, this project, and nothing that only distilling or testing
# needs. docs/container.md tells the arguments and the secrets.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# Secrets are files only while a RUN lasts: pip.conf says where packages come from, ca.pem whom to trust.
ENV PIP_CONFIG_FILE=/run/secrets/pip.conf \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ONLY_BINARY=:all: \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# pip stays outside both environments, so the one that is served has no installer in it.
RUN python -m venv --without-pip /opt/shapserve && python -m venv --without-pip /opt/build
# Before the sources, so that a change of code does not install everything anew.
COPY requirements requirements
ARG EXTRAS=""
# The lock of every extra, and requirements/own/requirements.txt where there is one.
RUN echo "-r serve.lock" >requirements/all.txt; \
    for extra in $EXTRAS; do \
      [ -f "requirements/extras/$extra.lock" ] || { echo "EXTRAS has '$extra', and there are only:" \
        requirements/extras/*.lock >&2; exit 1; }; \
      echo "-r extras/$extra.lock" >>requirements/all.txt; \
    done; \
    [ ! -f requirements/own/requirements.txt ] || \
      echo "-r own/requirements.txt" >>requirements/all.txt
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    [ ! -s /run/secrets/ca.pem ] || export PIP_CERT=/run/secrets/ca.pem; \
    pip --python /opt/shapserve/bin/python install --require-hashes -r requirements/all.txt && \
    pip --python /opt/build/bin/python install --require-hashes -r requirements/build.lock
# Tests of others are 30 MB and more. LightGBM is linked to the system's OpenMP, which a slim base
# has not: scikit-learn brings the same.
RUN site=$(echo /opt/shapserve/lib/python3*/site-packages); \
    for package in numpy pandas scipy sklearn; do \
      [ ! -d "$site/$package" ] || find "$site/$package" -depth -name tests -exec rm -r {} +; \
    done; \
    rm -rf "$site/onnx/backend/test"; \
    for openmp in "$site"/scikit_learn.libs/libgomp*; do \
      [ ! -f "$openmp" ] || ln -s "$openmp" /opt/shapserve/lib/libgomp.so.1; \
    done
COPY pyproject.toml README.md LICENSE ./
COPY scoring scoring
COPY service service
COPY shapserve shapserve
# With the locked build tools: an isolated build would fetch others, unhashed.
RUN pip --python /opt/build/bin/python wheel --no-deps --no-build-isolation --wheel-dir /dist . && \
    pip --python /opt/shapserve/bin/python install --no-deps /dist/*.whl

FROM ${BASE}
ARG DESCRIPTION="Predictions with Shapley values, over HTTP"
ARG REVISION=""
ARG TAGS=""
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="shapserve" \
      org.opencontainers.image.description="${DESCRIPTION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}" \
      shapserve.tags="${TAGS}"
COPY --from=build /opt/shapserve /opt/shapserve
# The root file system may be read-only: byte code was written above, nothing is written here.
# ONNX Runtime's official builds send usage data to their maker unless told not to.
ENV PATH=/opt/shapserve/bin:$PATH \
    LD_LIBRARY_PATH=/opt/shapserve/lib \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SHAPSERVE_HOST=0.0.0.0 \
    SHAPSERVE_PORT=8000 \
    SHAPSERVE_ARTIFACT=/artifact
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
EXPOSE 8000
# http.client, because it heeds no proxy settings.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['SHAPSERVE_PORT']), timeout=2); c.request('GET', '/health/ready'); sys.exit(c.getresponse().status != 200)"]
# Exec form: the server is process 1 and gets SIGTERM itself.
ENTRYPOINT ["shapserve", "serve"]

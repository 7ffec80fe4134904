# The serving image: the serving lock, this project, and nothing that only distilling or testing needs.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# pip stays outside both environments, so the one that is served has no installer in it.
RUN python -m venv --without-pip /opt/shapserve && python -m venv --without-pip /opt/build
# Before the sources, so that a change of code does not install everything anew.
COPY requirements/serve.lock requirements/build.lock requirements/
RUN pip --python /opt/shapserve/bin/python install --require-hashes -r requirements/serve.lock \
 && pip --python /opt/build/bin/python install --require-hashes -r requirements/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY scoring scoring
COPY service service
# With the locked build tools: an isolated build would fetch others, unhashed.
RUN pip --python /opt/build/bin/python wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && pip --python /opt/shapserve/bin/python install --no-deps /dist/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="shapserve" \
      org.opencontainers.image.description="Predictions with Shapley values, over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/shapserve /opt/shapserve
# The root file system may be read-only: byte code was written above, nothing is written here.
# ONNX Runtime's official builds send usage data to their maker unless told not to.
ENV PATH=/opt/shapserve/bin:$PATH \
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

ARG IMAGE=shapserve:0.1.0
FROM ${IMAGE}
COPY --chown=10001:10001 . /artifact

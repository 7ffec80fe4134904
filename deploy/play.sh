#!/bin/sh
# play.sh [down]: runs overlays/local by podman, on port $PORT of this machine alone, and checks it;
# `down` ends it. For those without a cluster: podman knows pods, and neither Services nor probes, so
# there is one replica, and nothing restarts one that hangs. $PODMAN and $KUBECTL may name others.
set -eu
here=$(dirname "$0")
: "${PODMAN:=podman}" "${KUBECTL:=kubectl}" "${PORT:=8000}"

manifests=$(mktemp)
trap 'rm -f "$manifests" "$manifests.why" "$manifests.told"' EXIT
$KUBECTL kustomize "$here/overlays/local" |
  sed "s/^  replicas: .*/  replicas: 1/; s/^\( *\)- containerPort: 8000/&\n\1  hostPort: $PORT\n\1  hostIP: 127.0.0.1/" \
    >"$manifests"

if [ "${1:-}" = down ]; then
  $PODMAN kube down "$manifests"
  exit
fi
image=$(sed -n 's/^ *image: //p' "$manifests")
$PODMAN image exists "$image" || {
  echo "play.sh: there is no image $image; see overlays/local/kustomization.yaml for how to build it" >&2
  exit 1
}
$PODMAN kube play --replace "$manifests"
url=http://127.0.0.1:$PORT
left=${SECONDS_TO_WAIT:-60}
until sh "$here/smoke.sh" "$url" 2>"$manifests.why" >"$manifests.told"; do
  left=$((left - 1))
  [ "$left" -gt 0 ] || {
    cat "$manifests.why" >&2
    $PODMAN pod logs --tail 5 shapserve-pod-0 >&2 || $PODMAN pod logs --tail 5 shapserve-pod >&2 || true
    exit 1
  }
  sleep 1
done
cat "$manifests.told"

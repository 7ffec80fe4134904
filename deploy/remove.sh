#!/bin/sh
# remove.sh OVERLAY: takes away what rollout.sh put there, and waits until it is gone. The namespace
# stays, and in it what it did not put there: Secrets, claims. $KUBECTL may name another kubectl.
set -eu
overlay=$(dirname "$0")/overlays/${1:?usage: remove.sh OVERLAY}
: "${KUBECTL:=kubectl}"

ours='app.kubernetes.io/name in (shapserve, shapserve-smoke)'
namespace=$($KUBECTL kustomize "$overlay" | sed -n 's/^  namespace: //p' | head -n 1)
$KUBECTL delete -k "$overlay" --cascade=foreground --selector "$ours" --ignore-not-found
# Those of earlier settings, which have other names, and a check that failed.
$KUBECTL --namespace "$namespace" delete configmaps,jobs --selector "$ours"

#!/bin/sh
# rollout.sh OVERLAY: applies deploy/overlays/OVERLAY, waits until it serves, and checks it from inside
# the cluster (smoke-job.yaml). $KUBECTL may name another kubectl, with options.
set -eu
here=$(dirname "$0")
overlay=$here/overlays/${1:?usage: rollout.sh OVERLAY}
: "${KUBECTL:=kubectl}" "${ROLLOUT_SECONDS:=300}"

$KUBECTL apply -k "$overlay"
# Where it is, and with which image: as the overlay says.
namespace=$($KUBECTL kustomize "$overlay" | sed -n 's/^  namespace: //p' | head -n 1)
there() { $KUBECTL --namespace "$namespace" "$@"; }
image=$(there get deployment shapserve \
  -o 'jsonpath={.spec.template.spec.containers[?(@.name=="shapserve")].image}')

# give_up WHAT LABEL: tells why pods with that label do not work, as far as the cluster knows.
give_up() {
  pods="-l app.kubernetes.io/name=$2"
  {
    there get pods $pods
    there get pods $pods -o 'jsonpath={range .items[*]}{range .status.conditions[*]}{.message}{"\n"}{end}
{range .status.containerStatuses[*]}{.state.waiting.message}{"\n"}{end}{end}' | grep . | sort -u
    for pod in $(there get pods -o name $pods); do
      there logs "$pod" --all-containers --tail=20 --prefix | grep -v '"message":"request"'
    done
    there get events --field-selector type=Warning --sort-by=.lastTimestamp | tail -n 5
    echo "rollout.sh: $1"
  } >&2 || true
  exit 1
}

there rollout status deployment/shapserve --timeout="${ROLLOUT_SECONDS}s" ||
  give_up "not every replica got ready; what was ready before still serves. To go back: \
$KUBECTL --namespace $namespace rollout undo deployment/shapserve" shapserve

there delete job shapserve-smoke --ignore-not-found
$KUBECTL kustomize "$here" |
  sed "s|^\( *\(- \)\{0,1\}image:\) .*|\1 $image|; s|^  namespace: .*|  namespace: $namespace|" |
  $KUBECTL apply -f -
left=60
until ended=$(there get job shapserve-smoke -o 'jsonpath={.status.conditions[*].type}') &&
  [ -n "$ended" ]; do
  left=$((left - 1))
  [ "$left" -gt 0 ] || give_up "the check did not end within a minute" shapserve-smoke
  sleep 1
done
case $ended in
  *Complete*) ;;
  *) give_up "the check failed" shapserve-smoke ;;
esac
there logs job/shapserve-smoke
there delete job shapserve-smoke

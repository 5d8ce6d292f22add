#!/usr/bin/env bash
# `make demo`: a cluster, Payplane, two wallets, and money that moves. Run again, it shows the same and changes nothing.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
cd "$ROOT"
QUICKSTART=examples/quickstart

bold='' blue='' plain=''
if [ -t 1 ]; then bold=$'\033[1m' blue=$'\033[36m' plain=$'\033[0m'; fi
heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
shown() { printf '%s$ %s%s\n' "$blue" "$*" "$plain"; }
# Shows a command, then runs it.
run() {
  shown "$@"
  "$@"
}

heading "1. A cluster, the images, the chart"
tests/e2e/install.sh
use_cluster
use_images

heading "2. A platform: the engine and its PostgreSQL"
run kubectl apply -f $QUICKSTART/platform.yaml
run kubectl wait platform/main -n payplane-system --for=condition=Ready --timeout=5m

heading "3. A tenant: its namespace, its place in the ledger, its cap on new money"
run kubectl apply -f $QUICKSTART/tenant.yaml
run kubectl wait tenant/acme --for=condition=Ready --timeout=1m

heading "4. Two wallets, money from the settlement account, a payment"
run kubectl apply -f $QUICKSTART/wallets.yaml -f $QUICKSTART/funding.yaml
run kubectl wait payment/funding -n acme --for=condition=Settled --timeout=1m
run kubectl apply -f $QUICKSTART/payments.yaml
run kubectl wait payment/salaries-november -n acme --for=condition=Settled --timeout=1m
run kubectl get payments -n acme

heading "5. A payment of more than there is: refused, with the reason in its status"
run kubectl apply -f $QUICKSTART/refused.yaml
run kubectl wait payment/too-much -n acme --for=condition=Settled --timeout=1m
run kubectl get payment too-much -n acme -o jsonpath='{.status.refusal}{"\n"}'
run kubectl wait wallet/treasury -n acme --for=jsonpath='{.status.available}'=750.00 --timeout=1m
run kubectl wait wallet/payroll -n acme --for=jsonpath='{.status.available}'=250.00 --timeout=1m
run kubectl get wallets,payments -n acme

heading "6. The same balances over gRPC, from a pod with nothing but its ServiceAccount token"
sed "s|localhost/payplane/toolbox:dev|$TOOLBOX_IMAGE|" $QUICKSTART/client.yaml | kubectl apply -f -
run kubectl wait pod/client -n acme --for=condition=Ready --timeout=2m
call() { # SERVICE/METHOD PROTO
  shown "kubectl exec -n acme client -- grpcurl ... payplane.v1.$1"
  # shellcheck disable=SC2016  # expanded in the pod
  kubectl exec -n acme client -- sh -c 'cd /var/run/secrets/payplane && exec grpcurl -cacert ca.crt \
    -H "authorization: Bearer $(cat token)" -import-path /proto -proto "payplane/v1/$1" \
    "$(cat endpoint)" "payplane.v1.$0"' "$1" "$2"
}
call WalletService/ListWallets wallet_service.proto

heading "7. The trial balance: debits and credits of every account, by currency"
call LedgerService/GetTrialBalance ledger_service.proto

heading "Look further"
cat <<TEXT
  . tests/e2e/cluster/env.sh              use this cluster from your shell
  kubectl describe payment too-much -n acme
  kubectl get payplane -A                 everything of Payplane
  kubectl delete -f $QUICKSTART/payments.yaml && kubectl apply -f $QUICKSTART/payments.yaml
                                          paid once, and the objects say so
Clean up:
  make cluster-down
TEXT

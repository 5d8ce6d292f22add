#!/usr/bin/env bash
# Proves what the tests and the demo rely on: starts the cluster, runs one check per promise, cleans up its namespace.
#
# selftest.sh [--quick]: --quick leaves out the images of PostgreSQL, Redis and Kafka. Prints one line per check, then
# the count; fails when a check failed. The cluster stays up.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

quick=${1:-}
if foreign_cluster; then die "$(foreign_reason); this checks the local cluster only"; fi
"$CLUSTER_DIR/up.sh"
images=(toolbox)
[ "$quick" = --quick ] || images+=(postgres redis kafka)
"$CLUSTER_DIR/images.sh" --load cluster "${images[@]}"
# shellcheck disable=SC1091  # written by images.sh
. "$STATE/images.env"

NS=payplane-selftest
WORK=$(mktemp -d)
k() { kc --namespace "$NS" "$@"; }
cleanup() {
  kc delete namespace "$NS" --wait=false --ignore-not-found >/dev/null 2>&1 || true
  rm -rf "$WORK"
}
trap cleanup EXIT

passed=0 failed=0
check() { # TEXT COMMAND...
  local text=$1 start=$SECONDS; shift
  # A shell of its own, so that any failing command in a check fails it; bash ignores set -e below an if.
  local status=0
  set +e
  (set -e; trap - EXIT; "$@") >"$WORK/log" 2>&1
  status=$?
  set -e
  if [ $status = 0 ]; then
    passed=$((passed + 1)); printf 'ok    %s (%s s)\n' "$text" $((SECONDS - start))
  else
    failed=$((failed + 1)); printf 'FAIL  %s (%s s)\n' "$text" $((SECONDS - start))
    sed 's/^/        /' "$WORK/log" | tail -n 15
  fi
}

# pod NAME IMAGE UID GID COMMAND [MOUNTS]: a pod that the restricted profile admits, with a read-only root. COMMAND is a
# JSON list; MOUNTS are folders that become emptyDirs.
pod() {
  local name=$1 image=$2 uid=$3 gid=$4 command=$5 mounts=${6:-} index=0 volumes='' volume_mounts='' path
  for path in $mounts; do
    volumes+="{name: v$index, emptyDir: {}}, "; volume_mounts+="{name: v$index, mountPath: $path}, "
    index=$((index + 1))
  done
  cat <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $name, labels: {app: $name}}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsNonRoot: true, runAsUser: $uid, runAsGroup: $gid, fsGroup: $gid, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: main
    image: $image
    imagePullPolicy: IfNotPresent
    command: $command
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
    volumeMounts: [$volume_mounts{name: token, mountPath: /var/run/secrets/payplane}]
  volumes:
  - {name: token, projected: {sources: [{serviceAccountToken: {audience: payplane, path: token, expirationSeconds: 600}}]}}
$(for ((i = 0; i < index; i++)); do echo "  - {name: v$i, emptyDir: {}}"; done)
YAML
}
fails() { if "$@"; then return 1; fi; }
ready() { k wait pod "$1" --for=condition=Ready --timeout="${2:-60}s"; }
within() { k exec "$@"; }

kc delete namespace "$NS" --ignore-not-found --timeout=60s >/dev/null
kc create namespace "$NS" >/dev/null
kc label namespace "$NS" pod-security.kubernetes.io/enforce=restricted >/dev/null
service_account() { k get serviceaccount default; }
wait_until 20 service_account || die "the namespace has no service account"

pod web "$TOOLBOX_IMAGE" 65532 65532 \
  '[sh, -c, "echo hello > /www/index.html; echo started; exec httpd -f -v -p 8080 -h /www"]' /www | k apply -f - >/dev/null
pod tools "$TOOLBOX_IMAGE" 65532 65532 '[sleep, infinity]' | k apply -f - >/dev/null
k expose pod web --port=80 --target-port=8080 >/dev/null
if [ "$quick" != --quick ]; then
  pod postgres "$POSTGRES_IMAGE" 999 999 \
    '[sh, -c, "initdb -D \"$PGDATA/db\" -U postgres --auth=trust && exec postgres -D \"$PGDATA/db\""]' \
    "/var/lib/postgresql/data /var/run/postgresql /tmp" | k apply -f - >/dev/null
  pod redis "$REDIS_IMAGE" 999 1000 '[redis-server]' /data | k apply -f - >/dev/null
  pod kafka "$KAFKA_IMAGE" 1000 1000 '[/etc/kafka/docker/run]' /tmp | k apply -f - >/dev/null
fi

node_is_ready() { kc wait node "$NODE_NAME" --for=condition=Ready --timeout=30s; }
check "the node is Ready" node_is_ready

restricted() {
  ready web
  [ "$(within web -- id -u)" = 65532 ]
  fails within web -- touch /etc/new
}
check "a pod of the restricted profile runs as 65532 on a read-only root" restricted

refused() { fails k run refused --image="$TOOLBOX_IMAGE" --privileged; }
check "the restricted profile refuses a privileged pod" refused

dns() { ready tools; within tools -- nslookup kubernetes.default.svc.cluster.local; }
check "DNS resolves kubernetes.default in a pod" dns

service() { within tools -- timeout 5 wget -qO- "http://web.$NS" | grep hello; }
check "a Service is reachable from a pod by name" service
hairpin() { within web -- timeout 5 wget -qO- "http://web.$NS" | grep hello; }
check "a pod reaches itself through its Service" hairpin

# Nobody is denied before the policy, everybody after it, and what it opens goes through.
rules() { (cd "$CLUSTER_DIR/tools/netpol" && go test ./...); }
check "the rules that NetworkPolicies become" rules
isolation() {
  reached() { within tools -- timeout 3 wget -qO- "http://$(k get pod web -o 'jsonpath={.status.podIP}'):8080"; }
  denied() { ! reached; }
  reached
  policy() { # SPEC
    printf '{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "web"}, "spec": %s}' "$1" |
      k apply -f -
  }
  policy '{"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]}'
  wait_until 20 denied
  policy '{"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "tools"}}}], "ports": [{"port": 8080}]}]}'
  wait_until 20 reached
  k delete networkpolicy web
}
check "NetworkPolicies deny and allow" isolation

logs() { k logs web | grep started; }
check "logs" logs
execute() { [ "$(echo payplane | k exec -i tools -- tr a-z A-Z)" = PAYPLANE ]; }
check "exec with input" execute

port_forward() {
  local port
  k port-forward pod/web :8080 >"$WORK/forward" 2>&1 &
  # shellcheck disable=SC2064  # this process id, not a later one
  trap "kill $!" EXIT
  address() { grep -q '127.0.0.1:' "$WORK/forward"; }
  wait_until 20 address
  port=$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' "$WORK/forward" | head -n 1)
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  printf 'GET / HTTP/1.0\r\n\r\n' >&3
  timeout 10 cat <&3 | grep hello
}
check "port-forward" port_forward

storage() {
  k apply -f - <<YAML
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
YAML
  with_claim() {
    pod "$1" "$TOOLBOX_IMAGE" 65532 65532 "$2" |
      sed -e 's|volumeMounts: \[|&{name: data, mountPath: /data}, |' \
        -e 's|^  volumes:$|&\n  - {name: data, persistentVolumeClaim: {claimName: data}}|'
  }
  with_claim writer '[sh, -c, "echo kept > /data/file && sleep infinity"]' | k apply -f -
  ready writer
  k wait pvc data --for=jsonpath='{.status.phase}'=Bound --timeout=30s
  k delete pod writer --timeout=30s
  with_claim reader '[sleep, infinity]' | k apply -f -
  ready reader
  within reader -- cat /data/file | grep kept
  # The folder belongs to the group of the pod, as on real storage.
  [ "$(within reader -- stat -c %g /data)" = 65532 ]
  volume=$(k get pvc data -o 'jsonpath={.spec.volumeName}')
  k delete pod reader --timeout=30s
  k delete pvc data --timeout=30s
  kc wait pv "$volume" --for=delete --timeout=60s
}
check "a claim binds, keeps data when its pod is replaced, and its volume goes with it" storage

# Not kubectl's own credentials: the request carries the token and nothing else.
as_token() {
  local token=$1; shift
  "$CACHE/bin/kubectl" --kubeconfig=/dev/null --server="https://127.0.0.1:$API_PORT" \
    --certificate-authority="$STATE/pki/ca.crt" --token="$token" "$@"
}
token() {
  local token payload review
  token=$(within tools -- cat /var/run/secrets/payplane/token)
  payload=$(cut -d. -f2 <<<"$token" | tr '_-' '/+')
  while [ $((${#payload} % 4)) -ne 0 ]; do payload+="="; done
  base64 -d <<<"$payload" | grep -F '"aud":["payplane"]'
  base64 -d <<<"$payload" | grep -F '"iss":"https://kubernetes.default.svc"'
  review='{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"audiences": ["%s"], "token": "%s"}}'
  # shellcheck disable=SC2059  # the format is the line above
  authenticated() { printf "$review" "$1" "$token" | kc create -o 'jsonpath={.status.authenticated}' -f -; }
  [ "$(authenticated payplane)" = true ]
  [ "$(authenticated someone-else)" != true ]
  # A token for another audience is no key to the API server.
  fails as_token "$token" get --raw /version
}
check "a projected token has its audience and issuer, and only for that audience is it valid" token

jwks() {
  local token
  token=$(k create token default)
  as_token "$token" get --raw /openid/v1/jwks | grep -F '"kty":"RSA"'
  as_token "$token" get --raw /.well-known/openid-configuration | grep -F 'https://kubernetes.default.svc'
}
check "a service account may read the issuer's keys" jwks

policies() { kc get validatingadmissionpolicies; }
check "ValidatingAdmissionPolicy is served" policies

restart() {
  local container
  container=$(k get pod web -o 'jsonpath={.status.containerStatuses[0].containerID}')
  ctr_node tasks kill --signal SIGKILL "${container#containerd://}"
  restarted() { [ "$(k get pod web -o 'jsonpath={.status.containerStatuses[0].restartCount}')" -ge 1 ]; }
  wait_until 30 restarted
  ready web
}
check "a killed container is started again" restart

helm_works() { KUBECONFIG=$ADMIN_CONF "$CACHE/bin/helm" list -A; }
check "helm reaches the cluster" helm_works
check "grpcurl runs" "$CACHE/bin/grpcurl" -version

if [ "$quick" != --quick ]; then
  postgres() {
    ready postgres
    answers() { within postgres -- psql -U postgres -Atc 'select 6 * 7' | grep -x 42; }
    wait_until 60 answers
    within postgres -- psql -U postgres -Atc 'create extension pgcrypto; show server_encoding' | grep UTF8
    within postgres -- pg_isready
    [ "$(within postgres -- id -u):$(within postgres -- id -g)" = 999:999 ]
  }
  check "PostgreSQL initialises and answers as 999 on a read-only root" postgres

  redis() { ready redis; pong() { within redis -- redis-cli ping | grep PONG; }; wait_until 20 pong; }
  check "Redis answers PING" redis

  kafka() {
    ready kafka
    topic() { within kafka -- kafka-topics.sh --bootstrap-server localhost:9092 --create --if-not-exists --topic check; }
    wait_until 90 topic
    within kafka -- sh -c 'echo message | kafka-console-producer.sh --bootstrap-server localhost:9092 --topic check'
    within kafka -- kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic check --from-beginning \
      --max-messages 1 --timeout-ms 30000 | grep message
  }
  check "Kafka starts, creates a topic and passes a message" kafka
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

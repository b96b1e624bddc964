#!/bin/bash
# EC2 User Data: brings up preview-agent on Amazon Linux 2023, Debian or Ubuntu. Replace every @WORD@.
# No secrets in here: whoever is on the instance can read this. Output: /var/log/cloud-init-output.log
RELEASE_URL='@RELEASE_URL@' # the folder of agent-x86_64 and agent-aarch64; its SHA256SUMS has their sums:
declare -A SHA256=([x86_64]='@SHA256_X86_64@' [aarch64]='@SHA256_AARCH64@')
REPORT='@REPORT@' # the SSM parameter for the status, such as /pr-preview/42/status
CONFIG=$(cat <<'YAML'
image: @IMAGE@
database: { url: { ssm: @DATABASE_URL@ } }
report: { parameter: @REPORT@ }
YAML
)
# Nothing to edit from here on.
set -euo pipefail; export LC_ALL=C DEBIAN_FRONTEND=noninteractive
tmp=''; trap 'rm -rf "$tmp"' EXIT; trap 'fail "line $LINENO: $BASH_COMMAND"' ERR
fail() { # MESSAGE: one line in the console log and, where there is an aws client, a status in the parameter
  set +eu; local told now id text=${1//[^a-zA-Z0-9 .,:;_\/=()-]/?} json='{
"verdict":"failed: bootstrap_failed (instance): <text>. <hint>","schema":1,"service":{"state":"none","since":"<now>"},
"run":{"id":"user-data","sequence":0,"outcome":"failed","started":"<now>","finished":"<now>"},<instance>
"fault":{"code":"bootstrap_failed","class":"instance","message":"<text>","hint":"<hint>","retryable":false,"attempts":1},
"heartbeat_at":"<now>","expires_at":"<later>","agent":{"version":"none"}}'; now=$(date -u +%FT%TZ) json=${json//<now>/$now}
  json=${json//<hint>/Read the console output of the instance, correct the User Data and launch anew.}
  id=$(cat /var/lib/cloud/data/instance-id 2>&- | tr -cd a-z0-9- | head -c 24); [[ ! $id ]] || id="\"instance\":{\"id\":\"$id\"},"
  json=${json//<instance>/"$id"} json=${json//<later>/$(date -u -d '16 minutes' +%FT%TZ)} json=${json//<text>/"${text:0:160}"}
  told=$(timeout -k 5 30 aws ssm put-parameter --name "$REPORT" --type String --overwrite --value "$json" 2>&1 | tail -n 1) && told=told
  echo "preview-agent: failed: ${1//$'\n'/ } ($REPORT: ${told:-no answer})" >&2; exit 1; }
tmp=$(mktemp -d -p /var/lib); declare -A SHA256; arch=$(uname -m) url=${RELEASE_URL=}/agent-$arch sum=${SHA256[$arch]-}
[[ "$url $sum ${REPORT=} ${CONFIG=$(</etc/preview-agent/config.yaml)}" != *@+([A-Z0-9_])@* ]] || fail "an @WORD@ of the User Data is not replaced"
[[ $RELEASE_URL && $sum && $REPORT =~ ^/?[a-zA-Z0-9_.][a-zA-Z0-9_./-]*$ ]] ||
  fail "unusable settings: RELEASE_URL='$RELEASE_URL', SHA256 of $arch='$sum', REPORT='$REPORT'"
curl -fsSL --retry 4 --retry-all-errors --connect-timeout 10 --speed-limit 1 --speed-time 60 -o "$tmp/agent" "$url" 2>"$tmp/why" ||
  fail "cannot download $url: $(tail -n 1 "$tmp/why")"
sha256sum -c --status <<<"$sum  $tmp/agent" || fail "the SHA-256 of $url is not $sum"; chmod 755 "$tmp/agent"
install_docker() { if command -v dnf; then timeout -k 9 300 dnf -yq install docker; else timeout -k 9 300 bash -c 'dpkg --configure -a
  apt-get -q update && apt-get -yq -o DPkg::Lock::Timeout=120 --no-install-recommends install docker.io'; fi; }
for ((try = 0; try < 20 && SECONDS < 1200; try++)); do command -v dockerd || install_docker && break; sleep 6; done
systemctl enable --now docker || fail "Docker was not installed or does not start, see above"
install -D -m 644 /dev/stdin /etc/preview-agent/config.yaml <<<"$CONFIG" # 78 (refused), 75 (still at work): the agent itself tells
"$tmp/agent" install --report "$REPORT" || { code=$?; [[ $code == 7[58] ]] || fail "agent install ended with $code"; exit $code; }

# shellcheck shell=bash
# The SSM peer: moto's server on the loopback address.

ssm_endpoint() { echo "http://127.0.0.1:$(remember moto-port free_port)"; }

moto_up() {
  peer_running moto && return
  say "starting the SSM peer"
  start_peer moto "$VENV/bin/moto_server" -H 127.0.0.1 -p "$(remember moto-port free_port)"
  wait_for_peer moto moto_answers ssm AmazonSSM.DescribeParameters
  wait_for_peer moto moto_answers ecr AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken
}

# moto_answers SERVICE OPERATION: moto loads a service at the first request for it, which takes seconds.
moto_answers() {
  curl -m 60 -sf "$(ssm_endpoint)/" -H "X-Amz-Target: $2" -H 'Content-Type: application/x-amz-json-1.1' -d '{}' \
    -H "Authorization: AWS4-HMAC-SHA256 Credential=warm/20260101/us-east-1/$1/aws4_request, SignedHeaders=host, Signature=0"
}

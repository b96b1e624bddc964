# shellcheck shell=bash
# The stand-ins for IMDS, the GitHub API and a slow external service, and the repository they serve.

GITHUB_TOKEN_VALUE=github/token+of-the-stand-in

imds_address() { echo "127.0.0.1:$(remember imds-port free_port)"; }
github_address() { echo "127.0.0.1:$(remember github-port free_port)"; }
codeload_address() { echo "127.0.0.1:$(remember codeload-port free_port)"; }
slow_address() { echo "$(bridge_gateway):$(remember slow-port free_port)"; }
# machine_address: the address this machine goes out with, so that the URL that the agent reports opens.
machine_address() {
  ip -4 route get 198.51.100.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p' | grep . || echo 127.0.0.1
}
source_commit() { git --git-dir="$PEERS/source/acme/tasks-api.git" rev-parse main; }

# source_repository: the sample as a repository of its own; the same files give the same commit id.
source_repository() {
  local repository=$PEERS/source/acme/tasks-api.git
  [[ -d $repository ]] || git init -q --bare -b main "$repository"
  (
    export GIT_DIR=$repository GIT_INDEX_FILE=$repository/index.new
    export GIT_AUTHOR_NAME=acme GIT_AUTHOR_EMAIL=acme@example.com GIT_AUTHOR_DATE='2026-01-01T00:00:00Z'
    export GIT_COMMITTER_NAME=acme GIT_COMMITTER_EMAIL=acme@example.com GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
    git -c core.excludesFile="$ROOT/.gitignore" --work-tree="$ROOT/examples/tasks-api" add -A
    git update-ref refs/heads/main "$(git commit-tree -m 'The sample app' "$(git write-tree)")"
    rm "$GIT_INDEX_FILE"
  )
}

standins_up() {
  source_repository
  peer_running standins && return
  say "starting the stand-ins for IMDS and GitHub"
  printf %s "$GITHUB_TOKEN_VALUE" >"$PEERS/github-token"
  start_peer standins python3 "$ROOT/scripts/lib/standins.py" --imds "$(imds_address)" --github "$(github_address)" \
    --codeload "$(codeload_address)" --public-ipv4 "$(machine_address)" --slow "$(slow_address)" --repositories "$PEERS/source" --token-file "$PEERS/github-token"
  wait_for_peer standins curl -m 2 -s "http://$(slow_address)/"
}

standins_env() {
  cat <<EOF
PEERS_IMDS_ENDPOINT=http://$(imds_address)
PEERS_GITHUB_API=http://$(github_address)
PEERS_GITHUB_TOKEN=$GITHUB_TOKEN_VALUE
PEERS_SOURCE_COMMIT=$(source_commit)
PEERS_SLOW_URL=http://$(slow_address)/slow
EOF
}

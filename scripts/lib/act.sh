# shellcheck shell=bash
# The workflow of previews as a caller of it meets it, run on this machine by act: without network,
# without GitHub, and with the actions of others replaced by stubs.
#
# What act does not do, GitHub does: permissions, concurrency, environments, identity tokens.

# The actions of others say what they were given, one JSON object a line: {"action":…, "inputs":{…}}.
ACT_INPUTS=(aws-region cache-from cache-to context file labels password persist-credentials platforms push ref
  registry role-session-name role-to-assume tags username)

# act_prepare FOLDER [WITH]: makes FOLDER anew, for act_run. WITH is the caller's `with`, as YAML in braces.
#
#   FOLDER/agent     workflow and action of this work tree
#   FOLDER/caller    a repository acme/api with examples/pull-request.yml, or ACT_CALLER, as its workflow
#   FOLDER/stubs     OWNER/NAME/action.yml for each action of others; a test may put its own there
#   FOLDER/stubs.log what the stubs were given
act_prepare() {
  local folder with=${2-}
  mkdir -p "$1"
  folder=$(realpath "$1")
  rm -rf "${folder:?}"/{agent,caller,stubs,stubs.log,home}
  # Outside the repository, or act copies its own cache for ever.
  mkdir -p "$folder"/{agent/.github/workflows,caller/.github/workflows,home}
  # act knows neither `queue` nor an action of the workflow's own commit.
  sed -e '/^ *queue: max$/d' -e 's|uses: \$/action|uses: OWNER/preview-agent/action@v1|' \
    "$ROOT/.github/workflows/preview.yml" >"$folder/agent/.github/workflows/preview.yml"
  cp -R "$ROOT/action" "$folder/agent/action"
  sed -e "" ${with:+-e "/^ *uses: OWNER/a\\    with: $with"} \
    "${ACT_CALLER:-$ROOT/examples/pull-request.yml}" >"$folder/caller/.github/workflows/preview.yml"
  act_stubs "$folder"
  # It reads branch, commit and owner from git.
  act_git "$folder/caller" init -q -b main
  act_git "$folder/caller" remote add origin https://github.com/acme/api
  act_git "$folder/caller" add -A
  act_git "$folder/caller" commit -q -m caller
}

act_git() { git -C "$1" -c user.name=acme -c user.email=acme@example.com "${@:2}"; }

# act_actions: the actions of others that the workflow uses, as OWNER/NAME@COMMIT.
act_actions() { grep -o 'uses: [a-z-]*/[a-z-]*@[0-9a-f]*' "$ROOT/.github/workflows/preview.yml" | cut -d ' ' -f 2 | sort -u; }

act_stubs() {
  local action input stub
  for action in $(act_actions); do
    stub=$1/stubs/${action%@*}
    mkdir -p "$stub"
    {
      printf 'name: %s\ndescription: stub\ninputs:\n' "${action%@*}"
      for input in "${ACT_INPUTS[@]}"; do printf '  %s: { description: "", default: "" }\n' "$input"; done
      cat <<YAML
runs:
  using: composite
  steps:
    - shell: bash
      env:
        INPUTS: \${{ toJSON(inputs) }}
      run: |
        jq -c '{action: "${action%@*}", inputs: with_entries(select(.value != ""))}' <<<"\$INPUTS" >>"$1/stubs.log"
YAML
    } >"$stub/action.yml"
  done
}

# act_event EVENT_FILE: which event it is of. Only GitHub's name for it is not in the file.
act_event() { jq -r 'if .pull_request then "pull_request" elif .schedule then "schedule" else "workflow_dispatch" end' "$1"; }

# act_run FOLDER EVENT_FILE [ARGUMENT...]: lets the event happen in the caller's repository. Further
# arguments are act's: --env, --var and --secret NAME=VALUE. Ends as act does, 0 if no job failed.
act_run() {
  local folder event action mapped=() name
  folder=$(realpath "$1")
  event=$(realpath "$2")
  name=$(act_event "$event")
  for action in $(act_actions); do mapped+=(--local-repository "$action=$folder/stubs/${action%@*}"); done
  (
    cd "$folder/caller" || exit
    # No engine: each job runs on this machine itself.
    HOME=$folder/home DOCKER_HOST=unix:///nonexistent "${ACT:-$VENV/bin/act}" "$name" \
      --workflows .github/workflows/preview.yml --eventpath "$event" \
      --platform ubuntu-24.04=-self-hosted --platform ubuntu-24.04-arm=-self-hosted \
      --local-repository "OWNER/preview-agent@v1=$folder/agent" "${mapped[@]}" "${@:3}"
  )
}

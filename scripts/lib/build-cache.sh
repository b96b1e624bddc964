# shellcheck shell=bash
# What BuildKit keeps of our builds. Its records hold on to layers, and a pull of an image whose
# layers are there proves nothing.

# build_cache: every record's id and type, sorted. The engine answers one such question at a time. It
# marks (*) what a build uses right now: one that was broken off lets go a moment later, and its records
# have other ids then.
build_cache() {
  local try records
  for try in {1..20}; do
    if records=$(docker system df -v --format '{{range .BuildCache}}{{println .ID .CacheType}}{{end}}'); then
      if [[ $records != *'*'* ]] || ((try == 20)); then
        tr -d '*' <<<"$records" | sed '/^$/d' | sort
        return
      fi
    fi
    sleep 1
  done
  die "docker system df does not answer"
}

# remove_build_cache FILE [TYPE]: removes the records listed in FILE, only those of one type if named.
# A record goes only after all that were built upon it, so this passes until nothing more goes.
remove_build_cache() {
  local left before=-1 id
  while true; do
    left=$(build_cache | comm -12 - <(sort "$1") | { grep "${2:-}\$" || true; })
    [[ -n $left && $(wc -l <<<"$left") != "$before" ]] || return 0
    before=$(wc -l <<<"$left")
    while read -r id _; do
      docker builder prune --all --force --filter "id=$id" >/dev/null 2>&1
    done <<<"$left"
  done
}

# note_build_cache BEFORE FILE: adds to FILE what has come since BEFORE was written.
note_build_cache() { build_cache | comm -13 "$1" - >>"$2"; }

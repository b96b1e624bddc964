# shellcheck shell=bash
# A PostgreSQL server that the host and containers on any bridge network reach, with a password.

POSTGRES_USER=postgres
POSTGRES_PASSWORD='p@ss:w/rd%'

# The engine's own gateway: an address of this machine that every bridge network routes to.
bridge_gateway() {
  local bridge
  bridge=$(docker network inspect bridge --format '{{index .Options "com.docker.network.bridge.name"}}')
  ip -4 -o address show dev "$bridge" | sed 's|.* inet \([0-9.]*\)/.*|\1|'
}

# Outside the checkout, since the server's user may not be able to enter that.
postgres_dir() { printf '/var/tmp/preview-agent-%s\n' "$(printf %s "$ROOT" | cksum | cut -d' ' -f1)"; }

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups env -C / "$@"; }

postgres_answers() {
  PGPASSWORD=$POSTGRES_PASSWORD "$(postgres_bin)/psql" -h "$(bridge_gateway)" \
    -p "$(remember postgres-port free_port)" -U "$POSTGRES_USER" -d postgres -c 'SELECT 1'
}

postgres_init() {
  local dir
  dir=$(postgres_dir)
  install -d -o postgres -g postgres -m 0700 "$dir"
  install -o postgres -m 0600 <(printf %s "$POSTGRES_PASSWORD") "$dir/password"
  as_postgres "$(postgres_bin)/initdb" -D "$dir/data" -U "$POSTGRES_USER" \
    --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256 --pwfile="$dir/password"
  echo 'host all all all scram-sha-256' | as_postgres tee -a "$dir/data/pg_hba.conf"
}

postgres_up() {
  peer_running postgres && return
  local dir
  dir=$(postgres_dir)
  [[ -f $dir/data/pg_hba.conf ]] || quietly "creating a PostgreSQL cluster" postgres_init
  say "starting PostgreSQL"
  # Speed over safety: nothing here outlives the tests.
  start_peer postgres setpriv --reuid=postgres --regid=postgres --init-groups "$(postgres_bin)/postgres" -D "$dir/data" \
    -c "listen_addresses=127.0.0.1,$(bridge_gateway)" -c "port=$(remember postgres-port free_port)" \
    -c "unix_socket_directories=$dir" -c fsync=off -c full_page_writes=off -c max_connections=200
  wait_for_peer postgres postgres_answers
}

postgres_down() {
  # SIGINT is PostgreSQL's "fast" shutdown: open connections do not hold it up.
  stop_peer postgres INT
  rm -rf --one-file-system "$(postgres_dir)"
}

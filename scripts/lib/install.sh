# shellcheck shell=bash
# Brings a fresh Debian-like machine to what the scripts need; does nothing where all is there.

# has_package NAME: whether dpkg knows it as installed.
has_package() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

apt_install() {
  command -v apt-get >/dev/null || die "missing: $*. This machine has no apt-get; install them and run again"
  ((EUID == 0)) || die "missing: $*. Run as root, or install them first"
  # Scripts that run at the same time take turns.
  (
    flock 8
    if [[ ! -f $PEERS/apt-updated ]]; then
      quietly "apt-get update" apt-get update -q
      touch "$PEERS/apt-updated"
    fi
    # A service that a package starts must not keep the lock.
    quietly "installing $*" apt-get install -y -q --no-install-recommends "$@" 8>&-
  ) 8>"$CACHE/apt.lock"
}

# install_commands COMMAND:PACKAGE...: what of these is missing, with a C library to link against, CA
# certificates and Python's venv, which all scripts need.
install_commands() {
  local need=() pair
  for pair in git:git gcc:gcc python3:python3 "$@"; do
    command -v "${pair%%:*}" >/dev/null || need+=("${pair#*:}")
  done
  [[ -s /etc/ssl/certs/ca-certificates.crt ]] || need+=(ca-certificates)
  has_package libc6-dev || need+=(libc6-dev)
  python3 -c 'import ensurepip, venv' 2>/dev/null || need+=(python3-venv)
  ((${#need[@]} == 0)) || apt_install "${need[@]}"
}

# install_tools: what the peers and the tests need.
install_tools() {
  local service absent=()
  for service in docker-registry pgbouncer; do
    command -v "$service" >/dev/null || absent+=("$service.service")
  done
  install_commands curl:curl make:make jq:jq htpasswd:apache2-utils debootstrap:debootstrap \
    docker-registry:docker-registry pgbouncer:pgbouncer setpriv:util-linux ip:iproute2 systemd-analyze:systemd
  # Debian's packages start services of their own, which nobody here asked for.
  if ((${#absent[@]} > 0)) && [[ -d /run/systemd/system ]]; then
    systemctl disable --now "${absent[@]}"
  fi
}

# install_machine_tools: what makes a Debian of any suite, on Debian and its kin.
install_machine_tools() {
  command -v mmdebstrap >/dev/null || apt_install mmdebstrap debian-archive-keyring
}

# postgres_bin: the folder with initdb and postgres of the newest installed version.
postgres_bin() { printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1 | xargs dirname; }

# install_postgres: the server's binaries, without the cluster that Debian would start by itself.
install_postgres() {
  [[ -x $(postgres_bin)/initdb ]] && return
  has_package postgresql-common || apt_install postgresql-common
  sed -i 's/^#\? *create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  apt_install postgresql
}

# install_engine: a Docker Engine that answers, started here if need be.
install_engine() {
  docker version >/dev/null 2>&1 && return
  if ! command -v dockerd >/dev/null; then
    apt_install docker.io iptables
    command -v docker >/dev/null || apt_install docker-cli
  fi
  if ! docker version >/dev/null 2>&1; then
    say "starting the Docker Engine"
    if [[ -d /run/systemd/system ]]; then
      systemctl start docker.service
    else
      start_peer dockerd dockerd
      wait_for_peer dockerd docker version
    fi
  fi
}

# builder: a docker command that builds with BuildKit (its own, or through the buildx plugin).
builder() {
  local candidate
  for candidate in docker /usr/bin/docker; do
    if DOCKER_BUILDKIT=1 "$candidate" build --help 2>&1 | grep -q -- --progress; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  return 1
}

install_builder() {
  builder >/dev/null && return
  apt_install docker-buildx
  builder >/dev/null || die "no docker command here can build with BuildKit; install the buildx plugin"
}

# install_rust: cargo from PATH, from a rustup of before, or by rustup now.
install_rust() {
  export PATH=$PATH:$HOME/.cargo/bin
  command -v cargo >/dev/null && return
  quietly "installing Rust with rustup" bash -c \
    'set -o pipefail; curl --proto =https --tlsv1.2 -fsS --retry 3 https://sh.rustup.rs | sh -s -- -y --profile minimal --component clippy --component rustfmt'
}

# shellcheck shell=bash
# Instances as Docker images: Debian with systemd as PID 1, cloud-init and an engine of its own.
#
# bookworm has systemd 252 and engine 20.10 (API 1.41), trixie 257 and 26.1 (API 1.45), bare is
# bookworm without an engine, for User Data to install it. sid, which moves, is an engine alone (API
# 1.51 or newer): its systemd wants a cgroup hierarchy that not every host has.

# Debian's engine, and the client that newer suites have in a package of its own.
declare -A ENGINE_PACKAGES=([bookworm]=docker.io [trixie]='docker.io docker-cli' [sid]=docker.io)
MACHINE_PACKAGES=systemd-sysv,dbus,libpam-systemd,cloud-init,curl,ca-certificates,iproute2,iptables,python3,sudo,procps
# What an instance never reads.
SLIM=(--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*'
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt=force-unsafe-io)

machine_image() { echo "preview-agent-machine:$1"; }

# machine_made_from: changes with whatever the images are made from.
machine_made_from() { cat "${BASH_SOURCE[0]}" "/$CA_BUNDLE" | cksum | cut -d' ' -f1; }

machine_current() {
  local made_from
  made_from=$(docker image inspect --format '{{index .Config.Labels "preview-agent.machine"}}' "$(machine_image "$1")" 2>/dev/null) &&
    [[ $made_from == "$(machine_made_from)" ]]
}

# machine_tarball NAME SUITE PACKAGES: the packages as a file, made anew when the list changes; its path.
machine_tarball() {
  local file
  file=$CACHE/machines/$1-$(cksum <<<"${SLIM[*]} $2 $3" | cut -d' ' -f1).tar
  if [[ ! -s $file ]]; then
    mkdir -p "$CACHE/machines"
    rm -f "$CACHE/machines/$1"-*.tar
    # sid's index may have been signed long ago where the mirror is a snapshot.
    TMPDIR=$CACHE/machines quietly "bootstrapping an instance of Debian $1" mmdebstrap --format=tar --variant=apt "${SLIM[@]}" \
      --aptopt='Acquire::Check-Valid-Until "false"' --include="$3" "$2" "$file.part"
    mv "$file.part" "$file"
  fi
  echo "$file"
}

# The setup of an instance, run inside it.
# - ssm-user is made as Session Manager makes it, and is in no group of Docker's.
# - cloud-init runs User Data from a NoCloud seed; the modules left out look for hardware, SSH or the
#   network that a container does not have.
# - Timers of apt would hold the package lock at a time of their own choosing.
# - Where the host has version 1 of control groups, systemd would mount every controller that the
#   kernel knows, in a hierarchy of its own where the host has none. All processes of the host then
#   list that hierarchy, and its containerd, which finds no mount for it, no longer notices
#   containers that run out of memory. So init shows systemd only the controllers that the host has.
machine_setup() {
  cat <<'SETUP'
set -e
useradd -m ssm-user
printf '# User rules for ssm-user\nssm-user ALL=(ALL) NOPASSWD:ALL\n' >/etc/sudoers.d/ssm-agent-users
chmod 0440 /etc/sudoers.d/ssm-agent-users
echo 'policy: enabled' >/etc/cloud/ds-identify.cfg
cat >/etc/cloud/cloud.cfg.d/90_instance.cfg <<'CONFIG'
datasource_list: [ NoCloud, None ]
locale: false
preserve_hostname: true
manage_etc_hosts: false
network: { config: disabled }
apt: { preserve_sources_list: true }
cloud_init_modules: [ seed_random, bootcmd, write-files, ca-certs, users-groups ]
cloud_config_modules: [ apt-configure, timezone, runcmd ]
cloud_final_modules: [ package-update-upgrade-install, write-files-deferred, scripts-vendor, scripts-per-once, scripts-per-boot, scripts-per-instance, scripts-user, final-message, power-state-change ]
CONFIG
ln -sf /dev/null /etc/systemd/system/console-getty.service
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim; do
  ln -sf /dev/null /etc/systemd/system/$timer.timer
done
# The journal outlives a reboot; the machine's id is made at its first boot, which is no first boot
# to systemd (it would enable every unit there is).
mkdir -p /var/log/journal
: >/etc/machine-id
rm /sbin/init
cat >/sbin/init <<'INIT'
#!/bin/sh
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
  while read -r name rest; do
    case $name in
      \#*) echo "$name $rest" ;;
      *) if mountpoint -q "/sys/fs/cgroup/$name"; then printf '%s\t%s\n' "$name" "$rest"; fi ;;
    esac
  done </proc/cgroups >/run/cgroups
  mount --bind /run/cgroups /proc/cgroups
fi
exec /lib/systemd/systemd "$@"
INIT
chmod 0755 /sbin/init
touch /etc/.updated /var/.updated
SETUP
}

engine_setup() {
  cat <<SETUP
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-unsafe-io ${ENGINE_PACKAGES[$1]}
apt-get clean
rm -rf /var/lib/apt/lists/*
SETUP
}

# machine_commit FROM IMAGE COMMAND SCRIPT: the image FROM after SCRIPT has run in it.
machine_commit() {
  local name=preview-agent-machine-$$
  docker create --name "$name" --stop-signal SIGRTMIN+3 "$1" sh -c "$4"
  docker cp --follow-link "/$CA_BUNDLE" "$name:/$CA_BUNDLE"
  if docker start --attach "$name"; then
    docker commit --change "CMD $3" --change "LABEL preview-agent.machine=$(machine_made_from)" "$name" "$2"
    docker rm "$name"
  else
    docker rm "$name"
    return 1
  fi
}

# machine_up NAME: leaves the image of an instance in the engine.
machine_up() {
  machine_current "$1" && return
  local image base tarball
  image=$(machine_image "$1")
  case $1 in
    bare | trixie)
      base=$(machine_image "$1-base")
      tarball=$(machine_tarball "$1" "${1/bare/bookworm}" "$MACHINE_PACKAGES")
      ;;
    bookworm)
      machine_up bare
      base=$(machine_image bare)
      ;;
    sid)
      base=$(machine_image sid-base)
      tarball=$(machine_tarball sid sid "${ENGINE_PACKAGES[sid]},iptables,iproute2,ca-certificates,procps")
      ;;
    *) die "no machine is called $1; there are bookworm, bare, trixie and sid" ;;
  esac
  [[ -z ${tarball:-} ]] || quietly "importing Debian $1" docker import "$tarball" "$base"
  case $1 in
    bare) quietly "making the instance $1" machine_commit "$base" "$image" '["/sbin/init"]' "$(machine_setup)" ;;
    bookworm) quietly "making the instance $1" machine_commit "$base" "$image" '["/sbin/init"]' "$(engine_setup "$1")" ;;
    trixie)
      quietly "making the instance $1" machine_commit "$base" "$image" '["/sbin/init"]' "$(machine_setup && engine_setup "$1")"
      ;;
    sid) quietly "making the engine $1" machine_commit "$base" "$image" '["dockerd"]' true ;;
  esac
  # Its layers stay with the image that was made of it.
  [[ $base != *-base ]] || docker rmi "$base" >/dev/null
}

machines_down() {
  local name image
  # Children first: bare is what bookworm was made of.
  for name in bookworm bare trixie sid; do
    image=$(machine_image "$name")
    docker image inspect "$image" >/dev/null 2>&1 || continue
    quietly "removing $image" docker rmi "$image"
  done
}

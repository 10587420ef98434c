#!/bin/bash
# Installs what is missing of deps/packages.txt, and only that. Silent and quick when nothing is.
# usage: deps/install.sh run|test|bench|dev     (each includes what building needs)
set -eu

cd "$(dirname "$0")"
case "${1:-}" in
  run) groups="build" ;;
  test) groups="build test" ;;
  bench) groups="build bench" ;;
  dev) groups="build dev" ;;
  *)
    echo "usage: deps/install.sh run|test|bench|dev" >&2
    exit 2
    ;;
esac

# Installed version of each package, read in one go: asking dpkg once per package would take a second.
declare -A installed
declare -A seen
while read -r package version; do
  installed[$package]=$version
done < <(dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' 2>/dev/null | sed -n 's/^installed //p')

missing=()
while read -r group package minimum licence reason; do
  case " $groups " in *" $group "*) ;; *) continue ;; esac
  [ -z "${seen[$package]:-}" ] || continue
  seen[$package]=1
  if [ -z "${installed[$package]:-}" ] ||
    ! dpkg --compare-versions "${installed[$package]}" ge "$minimum"; then
    missing+=("$package")
    echo "deps: $package is missing ($reason; $licence)"
  fi
done < <(grep -v '^#' packages.txt)

[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "deps: this is not a Debian system; install the equivalents of: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "deps: run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

# A server that is only a peer in tests must not come up by being installed: while policy-rc.d says 101, package
# scripts start nothing. One that is already there is put back afterwards.
policy=/usr/sbin/policy-rc.d
kept=""
restore_policy() {
  if [ -n "$kept" ]; then
    "${as_root[@]}" mv -f "$kept" "$policy"
  else
    "${as_root[@]}" rm -f "$policy"
  fi
}
if [ -e "$policy" ]; then
  kept="$policy.before-holdfast"
  "${as_root[@]}" mv -f "$policy" "$kept"
fi
trap restore_policy EXIT
printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
"${as_root[@]}" chmod 755 "$policy"

apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y "$@"; }
known() { apt-cache show "$1" >/dev/null 2>&1; }
for package in "${missing[@]}"; do
  if ! known "$package"; then
    echo "deps: fetching package lists"
    apt update
    break
  fi
done
echo "deps: installing ${missing[*]}"
install() { apt install --no-install-recommends "${missing[@]}" >/dev/null; }
# Lists that are there may be too old to fetch by: refresh them once and try again.
install || { echo "deps: fetching package lists"; apt update && install; }

# Nor at the next boot.
case " ${missing[*]} " in
  *" redis-server "*)
    if command -v systemctl >/dev/null; then "${as_root[@]}" systemctl disable redis-server >/dev/null 2>&1 || true; fi
    ;;
esac

#!/bin/sh
# Two registries of one cell on this machine's loopback: one leads, the other one follows; the lead moves, is lost, and is taken over.
#
#     examples/mirror-pair/run.sh
#
# WORK names the directory to work in, which must not be there yet; without it a temporary one is made, and removed at the end. See README.md for
# what it prints.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$(CDPATH='' cd -- "$here/../.." && pwd -P)
network=demo.net

[ -d "$root/dist/commands" ] || { echo "run.sh: registry is not built; type: npm ci && npm run build" >&2; exit 2; }

if [ -n "${WORK:-}" ]; then
  mkdir -m 700 "$WORK"
  work=$(CDPATH='' cd -- "$WORK" && pwd -P)
else
  work=$(mktemp -d "${TMPDIR:-/tmp}/mirror-pair-XXXXXX")
fi

# Only on one machine: in a deployment, DNS knows one.demo.net and two.demo.net. Here these names are 127.0.0.1.
export PEER_NAMES=$network
export NODE_OPTIONS="--import=$root/test/interop/synapse-names.ts"

# What the user of this machine has set for himself is not meant for this pair.
unset REGISTRY_URL REGISTRY_DIR SYN_DIR SYN_CERT_DIR
export HOME="$work/home"
mkdir "$HOME"

# --- processes -------------------------------------------------------------------------------------------------------------------------

one=
two=

# serve NAME: runs a registry in the background, with its output in NAME.log, and waits until it answers.
serve() {
  echo "\$ registry serve $1 &"
  rm -f "$work/$1/sock" # one that was killed leaves it behind
  "$root/bin/registry" serve "$work/$1" >>"$work/$1.log" 2>&1 </dev/null &
  eval "$1=$!"
  for _ in $(seq 1500); do
    [ -S "$work/$1/sock" ] && return
    kill -0 "$!" 2>/dev/null || break
    sleep 0.1
  done
  echo "run.sh: $1 does not answer" >&2
  return 1
}

stop_all() {
  for pid in $two $one; do
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  one=
  two=
}

finish() {
  status=$?
  trap '' INT TERM
  stop_all
  [ "$status" -eq 0 ] || { echo "run.sh: ended with $status; the ends of the logs:"; tail -n 5 "$work"/*.log; } >&2
  [ -n "${WORK:-}" ] || rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- words -----------------------------------------------------------------------------------------------------------------------------

step() { printf '\n== %s\n' "$*"; }

registry() { "$root/bin/registry" "$@"; }

# do_it COMMAND...: prints a command as one would type it, and runs it.
do_it() {
  printf '$ %s\n' "$*"
  "$@"
}

# until_confirmed COMMAND...: the same; while the disk is busy the answer may be "not confirmed, ask again", and the command ends with 7. When it was
# done all the same, a service that was to be removed is not there any more: 3.
until_confirmed() {
  printf '$ %s\n' "$*"
  again=
  until "$@"; do
    case $?$again in
      7*) again=' again' ;;
      '3 again') return 0 ;;
      *) return 1 ;;
    esac
  done
}

# conf NAME: in a deployment --aha-network and --dns-name are all that it needs, and the ports are 27492 and 27272.
conf() {
  mkdir -m 700 "$work/$1"
  cat >"$work/$1/cell.yaml" <<END
dmon:listen: ssl://127.0.0.1:0?hostname=$1.$network&ca=$network
provision:listen: ssl://127.0.0.1:0?hostname=$1.$network
https:port: null
zmq:req:port: 0
zmq:pub:port: 0
zmq:hb:port: 0
END
}

# --- 1: the first one ------------------------------------------------------------------------------------------------------------------

cd "$work"
step 'a registry, and a service in it'
conf one
printf 'aha:network: %s\ndns:name: one.%s\n' "$network" "$network" >>"$work/one/cell.yaml"
serve one
until_confirmed registry service register --dir one --name cam1 --id cam-1 --type camera --port 5000 --ttl 1h

# --- 2: the second one -----------------------------------------------------------------------------------------------------------------

step 'a second one, which copies it and follows'
conf two
# The URL is a password until it is used: it goes into a file of its own.
echo "\$ registry clone two.$network --dir one --only-url > two.url"
(umask 077 && registry clone "two.$network" --dir one --only-url 2>/dev/null >two.url)
printf 'clone: %s\n' "$(cat two.url)" >>"$work/two/cell.yaml"
serve two
do_it registry service list --dir two
do_it registry status cell://"$work/two"

# --- 3: the lead moves -----------------------------------------------------------------------------------------------------------------

step 'the second one leads, the first one follows and passes changes on'
do_it registry promote cell://"$work/two"
until_confirmed registry service register --dir one --name cam2 --id cam-2 --type camera --port 5001 --ttl 1h
do_it registry service list --dir two

# --- 4: the leader is lost -------------------------------------------------------------------------------------------------------------

step 'the leader is killed, and the first one takes over with what it has'
echo '$ kill -9 the second one'
kill -KILL "$two"
wait "$two" 2>/dev/null || true
do_it registry promote cell://"$work/one" --failure --yes
do_it registry service list --dir one

step 'the old leader is back: it hears who leads, and follows'
serve two
for _ in $(seq 1500); do
  case $(registry status "cell://$work/one" --json) in *'"status": "ok"'*) break ;; esac
  sleep 0.1
done
do_it registry status cell://"$work/one" --verify

step 'stop'
stop_all
echo 'both are stopped'

#!/bin/sh
# A whole Synapse network on this machine's loopback: registry is its AHA, the services are the real packages from PyPI.
#
#     examples/aha-network/run.sh [PYTHON]
#
# PYTHON has synapse==2.256.0 installed; without it the variable PYTHON counts, else python3. WORK names the directory to work in, which
# must not be there yet; without it a temporary one is made, and removed at the end. See README.md for what it prints.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$(CDPATH='' cd -- "$here/../.." && pwd -P)
python=${1:-${PYTHON:-python3}}
network=demo.net

command -v "$python" >/dev/null || { echo "run.sh: there is no $python; name a Python that has synapse==2.256.0" >&2; exit 2; }
python=$(command -v "$python")
"$python" -c 'import synapse' 2>/dev/null || { echo "run.sh: $python has no Synapse; type: $python -m pip install synapse==2.256.0" >&2; exit 2; }
[ -d "$root/dist/commands" ] || { echo "run.sh: registry is not built; type: npm ci && npm run build" >&2; exit 2; }

if [ -n "${WORK:-}" ]; then
  mkdir -m 700 "$WORK"
  work=$(CDPATH='' cd -- "$WORK" && pwd -P)
else
  work=$(mktemp -d "${TMPDIR:-/tmp}/aha-network-XXXXXX")
fi

# Only on one machine: in a deployment, DNS knows aha.demo.net, and services listen on all addresses. Here that name and those below it
# are 127.0.0.1, in Node and in Python, and nobody listens on more than that.
export PEER_NAMES=$network
export NODE_OPTIONS="--import=$root/test/interop/synapse-names.ts"
export PYTHONPATH=$root/test/interop/loopback

# What the user of this machine has set for himself is not meant for this network.
unset REGISTRY_URL REGISTRY_DIR SYN_DIR SYN_CERT_DIR SYN_AHA_NETWORK
export HOME="$work/home"
mkdir "$HOME"

# --- processes -------------------------------------------------------------------------------------------------------------------------

started=

# start NAME COMMAND...: runs a server in the background, in a process group of its own, with its output in NAME.log.
start() {
  name=$1
  shift
  setsid "$@" >"$work/$name.log" 2>&1 </dev/null &
  started="$! $started"
}

# The last one that was started is stopped first, so that the AHA is the last. Synapse has workers besides its main process: what is left
# of the group is killed.
stop_all() {
  for pid in $started; do
    kill -TERM "$pid" 2>/dev/null || true
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      [ -e "/proc/$pid/exe" ] || break
      sleep 1
    done
    kill -s KILL -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  started=
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
  printf '$'
  for word in "$@"; do
    case $word in
      *[\ \[\]\'=]*) printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  printf '\n'
  "$@"
}

# online NAME: waits until the AHA shows a service as online and ready.
online() {
  printf '%s' "waiting for $1.$network "
  for _ in $(seq 180); do
    case $(registry query --url "cell://$work/aha" --call getAhaSvc "$1..." 2>/dev/null | tr -d ' \n') in
      *'"ready":true'*'"online":'*) echo 'which is online'; return ;;
    esac
    sleep 1
  done
  echo "run.sh: $1 is not online within three minutes" >&2
  return 1
}

# let_in NAME OPTIONS...: makes a one-time URL for a service. The URL is a password until it is used: it goes into a file of its own.
let_in() {
  name=$1
  shift
  echo "\$ registry provision service $name${*:+ $*} --only-url > $name.url"
  (umask 077 && registry provision service "$name" "$@" --only-url --url "cell://$work/aha" 2>/dev/null >"$work/$name.url")
}

# --- 1: the AHA ------------------------------------------------------------------------------------------------------------------------

step 'registry serve as the AHA of demo.net'
mkdir -m 700 "$work/aha"
# In a deployment --aha-network and --dns-name are all that it needs, and the ports are 27492 and 27272.
cat >"$work/aha/cell.yaml" <<END
aha:network: $network
dns:name: aha.$network
dmon:listen: ssl://127.0.0.1:0?hostname=aha.$network&ca=$network
provision:listen: ssl://127.0.0.1:0?hostname=aha.$network
https:port: null
zmq:req:port: 0
zmq:pub:port: 0
zmq:hb:port: 0
END
start aha "$root/bin/registry" serve "$work/aha"
for _ in $(seq 300); do
  [ -S "$work/aha/sock" ] && break
  sleep 1
done
do_it registry status "cell://$work/aha"

# --- 2: an Axon and a JSONStor, which need no rights elsewhere, and a Cortex that uses both ----------------------------------------------

step 'an Axon, a JSONStor and a Cortex'
let_in 00.axon --user own
let_in 00.jsonstor --user own
# Provisioned without --user it is root, on Axon and JSONStor too.
let_in 00.cortex

# cortex NAME: starts a Cortex with the one-time URL of that name.
cortex() {
  SYN_CORTEX_AHA_PROVISION=$(cat "$work/$1.url") SYN_CORTEX_HTTPS_PORT=null SYN_CORTEX_HEALTH_SYSCTL_CHECKS=false \
    SYN_CORTEX_AXON=aha://axon... SYN_CORTEX_JSONSTOR=aha://jsonstor... \
    start "$1" "$python" -m synapse.servers.cortex "$work/$1"
}

SYN_AXON_AHA_PROVISION=$(cat "$work/00.axon.url") SYN_AXON_HTTPS_PORT=null SYN_AXON_HEALTH_SYSCTL_CHECKS=false \
  start 00.axon "$python" -m synapse.servers.axon "$work/00.axon"
SYN_JSONSTOR_AHA_PROVISION=$(cat "$work/00.jsonstor.url") SYN_JSONSTOR_HTTPS_PORT=null SYN_JSONSTOR_HEALTH_SYSCTL_CHECKS=false \
  start 00.jsonstor "$python" -m synapse.servers.jsonstor "$work/00.jsonstor"
cortex 00.cortex
for name in axon jsonstor cortex; do online "$name"; done

# --- 3: a mirror of the Cortex ---------------------------------------------------------------------------------------------------------

step 'a mirror of the Cortex'
let_in 01.cortex --mirror cortex
cortex 01.cortex
online 01.cortex

# --- 4: a user -------------------------------------------------------------------------------------------------------------------------

step 'a user, who is an administrator of the Cortex'
echo '$ registry provision user visi --only-url'
url=$(registry provision user visi --only-url --url "cell://$work/aha" 2>/dev/null)
echo '$ registry enroll URL'
registry enroll "$url"
do_it registry user add "visi@$network" --admin --url "cell://$work/00.cortex"

# From here on visi works over the network, with his certificate and by names.
step 'ask it'
do_it registry status aha://cortex...
do_it registry query aha://cortex... '[ inet:fqdn=vertex.link ]'
do_it registry query aha://01.cortex... 'inet:fqdn=vertex.link'

# --- 5: the mirror leads ---------------------------------------------------------------------------------------------------------------

step 'the mirror takes the lead'
do_it registry promote aha://01.cortex...
online cortex
do_it registry status aha://cortex...
do_it registry query aha://cortex... 'inet:fqdn=vertex.link'

step 'stop'
stop_all
echo 'all are stopped'

#!/bin/sh
# A registry on this machine's loopback that is backed up, followed, lost, and restored to the moment before a mistake.
#
#     examples/backup/run.sh
#
# WORK names the directory to work in, which must not be there yet; without it a temporary one is made, and removed at the end. See README.md for
# what it prints.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$(CDPATH='' cd -- "$here/../.." && pwd -P)

[ -d "$root/dist/commands" ] || { echo "run.sh: registry is not built; type: npm ci && npm run build" >&2; exit 2; }

if [ -n "${WORK:-}" ]; then
  mkdir -m 700 "$WORK"
  work=$(CDPATH='' cd -- "$WORK" && pwd -P)
else
  work=$(mktemp -d "${TMPDIR:-/tmp}/backup-XXXXXX")
fi

# What the user of this machine has set for himself is not meant for this registry.
unset REGISTRY_URL SYN_DIR SYN_CERT_DIR
export HOME="$work/home" REGISTRY_DIR="$work/data"
mkdir "$HOME"

# --- processes -------------------------------------------------------------------------------------------------------------------------

server=
follower=

# serve: runs the registry in the background, with its output in serve.log, and waits until it answers.
serve() {
  echo '$ registry serve ./data &'
  "$root/bin/registry" serve data >>serve.log 2>&1 </dev/null &
  server=$!
  for _ in $(seq 1500); do
    [ -S data/sock ] && return
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  echo "run.sh: the registry does not answer" >&2
  return 1
}

# wait_for TEXT: waits until the follower says that.
wait_for() {
  for _ in $(seq 1500); do
    grep -q "$1" follow.log && return
    kill -0 "$follower" 2>/dev/null || break
    sleep 0.1
  done
  echo "run.sh: backup follow does not say: $1" >&2
  return 1
}

# end PID SIGNAL: ends a process and waits for that.
end() {
  kill "-$2" "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

finish() {
  status=$?
  trap '' INT TERM
  [ -z "$follower" ] || end "$follower" TERM
  [ -z "$server" ] || end "$server" TERM
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

# --- 1: a registry ---------------------------------------------------------------------------------------------------------------------

cd "$work"
step 'a registry, and a service in it'
mkdir -m 700 data
# Free ports, so that it runs beside anything.
printf '%s: 0\n' zmq:req:port zmq:pub:port zmq:hb:port >data/cell.yaml
echo 'https:port: null' >>data/cell.yaml
serve
until_confirmed registry service register --name cam1 --id cam-1 --type camera --port 5000 --ttl 1h

# --- 2: a backup, and the proof that it is one -------------------------------------------------------------------------------------------

step 'back it up while it runs, and prove the backup'
do_it registry livebackup --stream ./backups --name monday
do_it registry backup drill ./backups/monday

# --- 3: every change -------------------------------------------------------------------------------------------------------------------

step 'keep every change beside it, within a second'
# In a deployment this runs on another machine, with --url ssl://root@HOST.
echo '$ registry backup follow ./kept &'
"$root/bin/registry" backup follow kept >follow.log 2>&1 </dev/null &
follower=$!
wait_for 'following at'
until_confirmed registry service register --name cam2 --id cam-2 --type camera --port 5001 --ttl 1h
wait_for 'archived up to index 3'
cat follow.log

# --- 4: a mistake, and a lost machine -----------------------------------------------------------------------------------------------------

step 'somebody removes a service, and then the machine is lost'
until_confirmed registry service deregister cam-1
do_it registry service history --limit 1
sleep 1 # within that, the change is kept
echo '$ kill -9 the registry; rm -r ./data'
end "$server" KILL
server=
rm -r data

# --- 5: back -----------------------------------------------------------------------------------------------------------------------------

step 'all that was kept could be restored; what is wanted is the moment before the mistake'
do_it registry backup verify ./kept
do_it registry restore ./kept ./data --dry-run
do_it registry restore ./kept ./data --to-offset 2
serve
do_it registry service list
do_it registry status --verify

step 'stop'
end "$follower" TERM
follower=
end "$server" TERM
server=
echo 'all is stopped'

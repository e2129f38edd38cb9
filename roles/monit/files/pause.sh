#!/bin/sh
# Have Monit leave all services alone: monit-pause SECONDS | --end
# /run/monit/paused holds the uptime at which the pause ends, and exists until Monit watches all services again.
set -u
umask 022
mkdir -p /run/monit && cd /run/monit && exec 9> pause.lock && flock 9 || exit 1
read -r now _ < /proc/uptime && now=${now%.*}
case ${1-} in
    --keep) read -r end < paused ;;
    --end) end=0 ;;
    '' | *[!0-9]* | ??????*) echo "usage: monit-pause SECONDS | --end (at most 99999)" >&2 && exit 2 ;;
    *) end=$((now + $1)) ;;
esac
verb=monitor
[ "${end:-0}" -le "$now" ] || verb=unmonitor
[ -e paused ] || [ $verb = unmonitor ] || exit 0
echo "${end:-0}" > paused

obeyed() {
    summary=$(monit -B -g services summary | grep -E ' (Process|Program) *$') || return 1
    if [ $verb = monitor ]; then
        ! echo "$summary" | grep -q ' Not monitored ' && : > unwatched && rm paused
    else
        ! echo "$summary" | grep -qv ' Not monitored '
    fi
}

# Monit obeys in its next cycle, and loses the command if it reloads before. In a pause each cycle repeats it: --keep.
for try in $(seq 0 150); do
    ! obeyed && systemctl --quiet is-active monit || exit 0
    [ $((try % 10)) != 0 ] || monit -g services $verb
    [ "$1" != --keep ] || exit 0
    sleep 0.2
done
echo "Monit does not answer; see journalctl -u monit" >&2
exit 1

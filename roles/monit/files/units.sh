#!/bin/sh
# Monit finds a service's process by a PID file, and does not know systemd's units. This connects them.
#   monit-units pids          Write /run/monit/NAME.pid for each service, in each of Monit's cycles.
#   monit-units unwatched     Write down what Monit does not watch, for monit-check.
#   monit-units restart NAME  Start or restart a service, for Monit.
#   monit-units failed        Print the units that failed, except the services, and exit with their number.
set -u
umask 022
services=/etc/monit/services
cd /run/monit || exit 3

show() { systemctl show --property=Id,ActiveState,MainPID,ControlPID,NRestarts "$@" && echo; }

# Read the state of one unit, which ends with an empty line, and how many of its restarts by systemd Monit knows of.
read_unit() {
    state='' pid=0 restarts=0 known=''
    while IFS='=' read -r key value && [ -n "$key" ]; do
        case $key in
            ActiveState) state=$value ;;
            # ExecStartPre= and ExecStop= run in a control process.
            MainPID | ControlPID) [ "$pid" != 0 ] || pid=$value ;;
            NRestarts) restarts=$value ;;
        esac
    done
    [ -n "$state" ] || return 1
    [ ! -e "$1.restarts" ] || read -r known < "$1.restarts"
    # What happens in a pause is not mailed. systemd counts from 0 again after a start by hand.
    if [ -e paused ] || [ -z "$known" ] || [ "$restarts" -lt "$known" ]; then known=$restarts; fi
    echo "$known" > "$1.restarts"
}

# Monit can't see a process die that systemd restarts at once. So there is no file until Monit asks for a restart.
write_pid() {
    if [ "$pid" = 0 ] || [ "$restarts" != "$known" ]; then
        rm -f "$1.pid"
    elif [ ! -e "$1.pid" ] || ! read -r old < "$1.pid" || [ "$old" != "$pid" ]; then
        echo "$pid" > "$1.pid"
        # Somebody started a service that was given up.
        if [ ! -e paused ] && monit -B summary "$1" | grep -q ' Not monitored '; then monit monitor "$1"; fi
    fi
}

pids() {
    [ ! -e paused ] || /usr/local/sbin/monit-pause --keep
    units=
    while read -r _ unit; do units="$units $unit"; done < $services
    show $units | while read -r name _ <&3; do read_unit "$name" && write_pid "$name"; done 3< $services
}

unwatched() {
    summary=$(monit -B summary) && echo "$summary" | sed -n 's/^ \([^ ]*\) *Not monitored .*/\1/p' > unwatched
}

restart() {
    unit=$(sed -n "s/^$1 //p" $services)
    [ -n "$unit" ] && [ ! -e paused ] || return 0
    show "$unit" | {
        read_unit "$1" && read -r old 2> /dev/null < "$1.pid"
        # If Monit does not know the process yet, it has just been started.
        case $state-$pid in *-0) verb=start ;; active-"${old-}") verb=restart ;; *) exit ;; esac
        systemctl reset-failed "$unit"
        systemctl $verb "$unit"
    }
    rm -f "$1.restarts"
    show "$unit" | { read_unit "$1" && write_pid "$1"; }
}

failed() {
    ours=$(cut -d ' ' -f 2 $services)
    units=$(systemctl list-units --failed --plain --no-legend | cut -d ' ' -f 1 | grep -vxF "$ours")
    printf '%s failed\n' ${units:-nothing}
    return "$(echo "$units" | grep -c .)"
}

"$@"

#!/bin/sh
# Nagios plugin, for any user: whether Monit runs and watches everything.
cd /run/monit || exit 3
say() { echo "MONIT $1: $2" && exit "$3"; }
[ -n "$(find unwatched -mmin -3 2> /dev/null)" ] || say CRITICAL "Monit does not look after the services" 2
read -r now _ < /proc/uptime && now=${now%.*}
! read -r end 2> /dev/null < paused || say WARNING "all services are paused for $((end > now ? end - now : 0)) s" 1
[ ! -s unwatched ] || say CRITICAL "not watched: $(paste -sd ' ' unwatched)" 2
say OK "$(wc -l < /etc/monit/services) services are watched" 0

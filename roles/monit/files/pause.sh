#!/bin/sh
exec /usr/local/sbin/monit-watch pause "$@"

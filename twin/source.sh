#!/bin/sh
# Put the last commit of the clone $1 into the bare repository $2, as its branch main. Says so if there was anything to put.
# Not by pushing, and not the branch's name: the clone may be a shallow one, and its HEAD detached.
set -eu
exec 9> "$2.lock"
flock 9
[ -d "$2" ] || git init --quiet --bare --initial-branch=main "$2"
[ "$(git -C "$1" rev-parse HEAD)" = "$(git -C "$2" rev-parse --quiet --verify main || true)" ] && exit
git -C "$2" fetch --quiet --force --update-shallow "$1" +HEAD:refs/heads/main
echo fetched

# What the scripts share. Sourced, from the project's root.

log_folder=.local/log

# Say what went wrong and what to do about it, and end.
die() { echo "$*" >&2; exit 1; }

# Run a command or function as a named step: one line with the time it took, its output in a log. On failure: what
# failed by the words of Ansible and pytest, which may be far up in the log, and the log's end. Its times, in seconds,
# are added to the file $step_times, if that is set: the step, how long it took, and of that the processor.
step() {
    local title=$1 log code times seconds user system TIMEFORMAT='%R %U %S'
    shift
    log=$log_folder/$(tr 'A-Z ' 'a-z-' <<< "$title").log
    mkdir -p $log_folder
    [[ ! -t 1 ]] || printf '      …  %s\r' "$title"
    # Not in an || list: there bash would go on after a command that failed inside the step.
    set +e
    times=$( { time { ( set -e; "$@" ) > "$log" 2>&1 < /dev/null; }; } 2>&1 )
    code=$?
    set -e
    read -r seconds user system <<< "$times"
    printf '%6.1f s  %s\n' "$seconds" "$title"
    [[ -z ${step_times:-} ]] || printf '%s\t%s\t%s\t%s\n' "$title" "$seconds" "$user" "$system" >> "$step_times"
    [[ $code -ne 0 ]] || return 0
    # A failed task is followed by what it said, indented; Molecule's colours may stand before both.
    awk '/(fatal|failed): \[/ { said = 1; print; next }
         said && /^(\033\[[0-9;]+m)?    / { print; next }
         { said = 0 }
         /^(FAILED|ERROR) |^E  /' "$log" | tail -n 40 >&2
    tail -n 10 "$log" >&2
    die "'$title' failed. The whole log: $log"
}

# The clone's name in the names of its images, containers and networks, as in
# inventories/local/group_vars/local/twin.yml.
clone_id() { printf %s "$PWD" | sha256sum | cut -c 1-6; }

# A new member of the group docker is one only after the next login: go on as one now.
enter_docker_group() {
    docker version > /dev/null 2>&1 && return
    exec sg docker -c "$(printf '%q ' "$@")"
}

# docker build without the plugin buildx, which not every package of the engine brings.
docker buildx version > /dev/null 2>&1 || export DOCKER_BUILDKIT=0

# Runs one program in an instance. Read by a POSIX shell, BusyBox's that is, as root.
# `call.rs` says what each argument is. The three stages are processes one below the other.
stage=$1
shift
id=$1 user=$2 folder=$3 network=$4 terminal=$5 variables=$6 path=$7 program=$8 shares=$9
run=/run/prebake

# Ends with what `running.rs` asks for when it sees this exit code.
give_up() {
    printf '%s\n' "$@" >"$run/$id.why"
    exit 125
}

case $stage in
first)
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    export PATH
    umask 022
    mkdir -p "$run" && chmod 700 "$run" || exit 125
    for tool in env flock ip mount nsenter setsid su umount unshare; do
        command -v "$tool" >/dev/null || give_up tool "$tool"
    done
    # What this shell says of a program that was killed is not the program's output.
    exec 3>&2 2>/dev/null
    # A terminal belongs to one session. Without one, a session of its own is what a kill finds.
    if [ "$terminal" = yes ]; then
        sh -c "$PREBAKE_RUN" prebake second "$@"
    else
        setsid sh -c "$PREBAKE_RUN" prebake second "$@"
    fi
    code=$?
    rm -f "$run/$id" "$run/$id.killed"
    exit "$code"
    ;;
second)
    exec 2>&3 3>&-
    # Either this sees that it is to be killed, or the one who kills sees this number.
    echo $$ >"$run/$id"
    [ -e "$run/$id.killed" ] && kill -9 $$
    if [ "$network" = host ]; then
        exec unshare -m sh -c "$PREBAKE_RUN" prebake third "$@"
    fi
    # One network namespace for all programs of the instance, with nothing but a loopback device.
    if ! [ -e "$run/net.ready" ]; then
        flock "$run/net.lock" sh -c '
            [ -e "$1.ready" ] && exit
            : >"$1" && unshare --net="$1" ip link set lo up && : >"$1.ready"
        ' prebake "$run/net" || give_up network
    fi
    exec nsenter -n"$run/net" unshare -m sh -c "$PREBAKE_RUN" prebake third "$@"
    ;;
third)
    shift 9
    unset PREBAKE_RUN
    set -f
    # Where Windows' drives are, before shares are bound from them.
    drives=
    while read -r _ target kind options _; do
        case "$kind,$options,$target" in
        drvfs,* | 9p,*aname=drvfs* | *,/mnt/[a-z]) drives="$drives $target" ;;
        esac
    done </proc/self/mounts
    while [ "$shares" -gt 0 ]; do
        from=$1 to=$2 access=$3
        shift 3
        shares=$((shares - 1))
        [ -e "$from" ] || give_up share "$from"
        if [ -d "$from" ]; then
            mkdir -p "$to" || give_up target "$to"
        elif ! [ -e "$to" ]; then
            mkdir -p "${to%/*}/" && : >"$to" || give_up target "$to"
        fi
        mount -o bind "$from" "$to" || give_up bind "$to"
        [ "$access" = rw ] || mount -o remount,bind,ro "$to" || give_up bind "$to"
    done
    # The rest of Windows: its drives, and the sockets by which programs of Windows are started.
    for drive in $drives; do
        umount -l "$drive" || give_up hide "$drive"
    done
    if [ -d /run/WSL ]; then
        mount -t tmpfs none /run/WSL || give_up hide /run/WSL
    fi
    # The user, by name or by number.
    name= home=/ shell=/bin/sh number=
    if [ -r /etc/passwd ]; then
        while IFS=: read -r entry _ uid gid _ entry_home entry_shell; do
            case $user in
            "$entry" | "$uid" | "$uid:$gid")
                name=$entry number=$uid home=$entry_home shell=$entry_shell
                break
                ;;
            esac
        done </etc/passwd
    fi
    if [ -z "$name" ]; then
        [ "$user" = root ] || [ "$user" = 0 ] || [ "$user" = 0:0 ] || give_up user
        name=root number=0 home=/root
    fi
    for variable in $variables; do
        case $variable in
        HOME) set -- "HOME=$home" "$@" ;;
        USER | LOGNAME) set -- "$variable=$name" "$@" ;;
        SHELL) set -- "SHELL=${shell:-/bin/sh}" "$@" ;;
        esac
    done
    cd "$folder" 2>/dev/null || give_up folder
    # That it is there is known before it runs, so that its own 126 and 127 are its own.
    case $program in
    */*)
        [ -e "$program" ] || give_up missing
        [ -f "$program" ] && [ -x "$program" ] || give_up denied
        ;;
    *)
        found=
        IFS=:
        for place in $path; do
            if [ -f "${place:-.}/$program" ] && [ -x "${place:-.}/$program" ]; then
                found=yes
                break
            fi
        done
        unset IFS
        [ "$found" ] || give_up missing
        ;;
    esac
    if [ "$number" = 0 ]; then
        exec env -i "$@"
    fi
    exec su -s /bin/sh "$name" -c 'exec env -i "$@"' prebake "$@"
    ;;
esac

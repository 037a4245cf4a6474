# Kills a program and all that it started. Read by a POSIX shell, as root; $1 is the program's id.
#
# They are its session and its descendants. What made a session of its own and whose parent has
# ended is neither; the end of the instance is its end.
run=/run/prebake
PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 077
mkdir -p "$run"
: >"$run/$1.killed"
read -r leader 2>/dev/null <"$run/$1" || exit 0

# Fork bombs make more while one looks; each round leaves fewer that can.
rounds=100
while [ "$rounds" -gt 0 ]; do
    rounds=$((rounds - 1))
    victims=
    known=" $leader "
    again=yes
    while [ "$again" ]; do
        again=
        for folder in /proc/[0-9]*; do
            pid=${folder#/proc/}
            case $victims in *" $pid "*) continue ;; esac
            state= parent= session=
            while read -r key value _; do
                case $key in
                State:) state=$value ;;
                PPid:) parent=$value ;;
                NSsid:) session=$value && break ;;
                esac
            done 2>/dev/null <"$folder/status"
            [ -z "$state" ] || [ "$state" = Z ] || [ "$state" = X ] && continue
            case "$known" in
            *" $pid "* | *" $parent "*) ;;
            *) [ "$session" = "$leader" ] || continue ;;
            esac
            known="$known$pid "
            victims="${victims:- }$pid "
            again=yes
        done
    done
    [ "$victims" ] || exit 0
    kill -9 $victims 2>/dev/null
done
exit 1

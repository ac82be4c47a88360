#!/bin/sh
# Sets what it is given, then reads it again by the functions of the look (citadelle/facts/hardening.sh), which stand before this text: some
# programs take a setting without a word and do not keep it.
#
# In: the host's name, then four words for each setting: id of the control, kind, name, value, as in policies/linux.yaml.
# A setting that cannot be made is named with its reason, and the others are made.

SYSCTL=/etc/sysctl.d/99-zz-citadelle.conf
SSHD=/etc/ssh/sshd_config.d/00-citadelle.conf
APT=/etc/apt/apt.conf.d/99citadelle
MODULES=/etc/modprobe.d/citadelle.conf
WATCHES=/etc/audit/rules.d/50-citadelle.rules
TAB=$(printf '\t')

replace() { # FILE KEY LINE: in the place of every line of that key; mode and owner stay
    mkdir -p -- "${1%/*}" && { [ -e "$1" ] || (umask 022 && : >"$1"); } && cp -p -- "$1" "$1.new" &&
        KEY=$2 LINE=$3 awk '{ word = $0; sub(/^[ \t]+/, "", word); sub(/[ \t=].*/, "", word) }
            word == ENVIRON["KEY"] { next } { print } END { print ENVIRON["LINE"] }' "$1" >"$1.new" && mv -T -- "$1.new" "$1"
}

append() { # FILE LINE: unless it is there
    mkdir -p -- "${1%/*}" && { grep -qsxF -- "$2" "$1" || printf '%s\n' "$2" >>"$1"; }
}

set_sysctl() {
    path=/proc/sys/$(printf %s "$1" | tr . /)
    replace "$SYSCTL" "$1" "$1 = $2" && printf '%s\n' "$2" >"$path"
}

set_sshd() { replace "$SSHD" "$1" "$1 $2"; }

set_unit() { # a name without ending is the service and its socket
    case $1 in *.*) units=$1 ;; *) units="$1.service $1.socket" ;; esac
    for unit in $units; do
        [ "$(systemctl show --property=LoadState --value -- "$unit")" != not-found ] || continue
        case $2 in
        masked) systemctl mask --quiet --now -- "$unit" || return 1 ;;
        *) systemctl unmask --quiet -- "$unit" && systemctl enable --quiet --now -- "$unit" || return 1 ;;
        esac
    done
}

set_file() { # the name may be a pattern
    for path in $1; do
        [ ! -e "$path" ] || { chown -- "${2#* }" "$path" && chmod -- "${2% *}" "$path"; } || return 1
    done
}

set_setting() {
    file=${1%%!*} key=${1#*!}
    case $file in
    /etc/systemd/*)
        case $file in */journald.conf) section=Journal ;; *) section=Coredump ;; esac
        file=$file.d/zz-citadelle.conf
        append "$file" "[$section]" && replace "$file" "$key" "$key=$2"
        ;;
    /etc/login.defs) replace "$file" "$key" "$key $2" ;;
    *) case $2 in yes) replace "$file" "$key" "$key" ;; *) replace "$file" "$key" "$key = $2" ;; esac ;;
    esac
}

set_apt() { replace "$APT" "$1" "$1 \"$2\";"; }

apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null; }

set_package() { apt install --yes --no-install-recommends -- "$1"; }

set_module() {
    append "$MODULES" "install $1 /bin/false" && append "$MODULES" "blacklist $1" && { ! grep -q "^$1 " /proc/modules || modprobe --remove "$1"; }
}

set_watch() {
    { [ ! -e "$WATCHES" ] || sed -i "\\|^-w $1 |d" "$WATCHES"; } && append "$WATCHES" "-w $1 -p $2 -k citadelle"
}

set_pam() { # by the profiles that there are: the bundle's own or the package's
    set -- "citadelle-$1" "citadelle-$1-count" "$1"
    for profile; do [ ! -e "/usr/share/pam-configs/$profile" ] || pam-auth-update --package --enable "$profile" || return 1; done
}

set_firewall() { # judged by nft before anything is loaded
    /usr/local/lib/citadelle/firewall take && systemctl enable --quiet citadelle-firewall && systemctl restart citadelle-firewall
}

refuse() { # CONTROL WHY
    refused="$refused$1: $(printf '%s' "$2" | tr '\n' ' ' | tail -c 300)
"
}

before() { # what must be there to go back
    rm -f -- "$SSHD.before"
    [ ! -e "$SSHD" ] || cp -p -- "$SSHD" "$SSHD.before"
}

after_watch() { augenrules --load >/dev/null; }

after_setting() { [ ! -d /run/systemd/system ] || systemctl restart systemd-journald; }

after_sshd() {
    if said=$(sshd -t 2>&1); then
        for unit in ssh sshd; do ! systemctl is-active --quiet $unit || systemctl reload $unit || return 1; done
    else
        if [ -e "$SSHD.before" ]; then mv -T -- "$SSHD.before" "$SSHD"; else rm -f -- "$SSHD"; fi
        printf 'it refuses its configuration, which is as it was: %s\n' "$said"
        return 1
    fi
}

apply() { # HOST (CONTROL KIND NAME VALUE)...
    host=$1 refused='' updated='' kinds=' ' settings='' needs=''
    shift
    before
    while [ $# -gt 3 ]; do
        [ "$2$updated" != package ] || { apt update && updated=yes; }
        said=$("set_$2" "$3" "$4" 2>&1) || refuse "$1" "${said:-cannot be set}"
        kinds="$kinds$2 "
        settings="$settings$1$TAB$2$TAB$3$TAB$4
"
        needs="$needs$2=$3
"
        shift 4
    done
    for kind in watch setting sshd; do # what takes them up, once
        case $kinds in *" $kind "*) said=$(after_$kind 2>&1) || refuse "$kind" "$said" ;; esac
    done
    rm -f -- "$SSHD.before"
    check
}

check() { # every setting again
    IFS='
'
    # shellcheck disable=SC2086  # a word for each line
    seen=$(look $needs)
    unset IFS
    while IFS=$TAB read -r control kind name value; do
        [ -n "$control" ] || continue
        case $refused in *"$control: "*) continue ;; esac
        kept=$(printf '%s\n' "$seen" | KIND=$kind NAME=$name awk -F '\t' '$1 == ENVIRON["KIND"] && $2 == ENVIRON["NAME"] { print $3 }' | sort -u | paste -s -d , -)
        [ "$kept" = "$value" ] || refuse "$control" "is ${kept:-absent} after it was set to $value"
    done <<SETTINGS
$settings
SETTINGS
    [ -n "$refused" ] || exit 0
    printf '%s' "$refused" | sed "s|^|$host: this host does not keep a setting: |" >&2
    printf 'hint: cure what is said, or waive the control in policies/waivers.yaml\n' >&2
    exit 1
}

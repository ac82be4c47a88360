#!/bin/sh
# What a Linux host says of itself, for the controls of policies/linux.yaml: one look, no change.
#
# In: words `kind=name`, all that some control is judged by. Out: lines of fields between tabs, `kind name value`; a name without a value is
# absent; `json name document` is a whole section; `error section why` or `error kind.name why` is what could not be read. A query that
# fails spoils no other. Numbers, paths and keywords only: nothing here is translated, and no secret is taken along.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

say() { # KIND NAME [VALUE]
    if [ $# -gt 2 ]; then printf '%s\t%s\t%s\n' "$1" "$2" "$3"; else printf '%s\t%s\n' "$1" "$2"; fi
}

names() { # KIND: what is asked of it, one a line
    printf '%s\n' "$needs" | sed -n "s|^$1=||p"
}

attempt() { # SECTION COMMAND...: its output; what it said instead is the section's error
    section=$1
    shift
    if said=$("$@" 2>&1); then
        printf '%s\n' "$said"
    else
        code=$?
        printf '%s\n' "$said" | tail -n 1 | sed "s/^/error\t$section\texit code $code: /" >&3
        return 1
    fi
}

virtualization() { # wsl, container or host
    case ${WSL_DISTRO_NAME:+wsl}$(uname -r) in wsl* | *[Mm]icrosoft*) echo wsl && return ;; esac
    case $(systemd-detect-virt --container 2>/dev/null) in
    wsl) echo wsl ;;
    '' | none) if [ -e /.dockerenv ] || [ -e /run/.containerenv ]; then echo container; else echo host; fi ;;
    *) echo container ;;
    esac
}

# A WSL distribution of a test may itself be a container: whose kernel it is, is another question than who started the shell.
own_kernel() {
    case $(systemd-detect-virt --container 2>/dev/null) in '' | none | wsl) ;; *) echo no && return ;; esac
    if [ -e /.dockerenv ] || [ -e /run/.containerenv ]; then echo no; else echo yes; fi
}

there() { # COMMAND
    if command -v "$1" >/dev/null 2>&1; then echo yes; else echo no; fi
}

look_platform() {
    kernel=$(own_kernel)
    say platform kind "$(virtualization)"
    say platform kernel "$kernel"
    if [ "$kernel" = yes ] && [ -e /proc/self/loginuid ]; then say platform audit yes; else say platform audit no; fi
    if [ -d /run/systemd/system ]; then say platform systemd yes; else say platform systemd no; fi
    say platform apparmor "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null || echo N)"
    say platform sshd "$(there sshd)"
    say platform docker "$(there docker)"
    say platform apt "$(there apt-get)"
    say platform login "${SUDO_USER:-$(id -un)}"
    say platform architecture "$(uname -m)"
    if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then say platform restart yes; else say platform restart no; fi
}

look_sysctl() { # running value; another one that a start would bring is said beside it
    files=$(for file in /etc/sysctl.d/*.conf /run/sysctl.d/*.conf /usr/local/lib/sysctl.d/*.conf /usr/lib/sysctl.d/*.conf; do
        [ ! -f "$file" ] || printf '%s\t%s\n' "${file##*/}" "$file"
    done | sort -s -u -t "$(printf '\t')" -k 1,1 | cut -f 2)
    # shellcheck disable=SC2086  # names of files of the system have no blanks
    names sysctl | awk '
        function clean(text) { gsub(/[ \t]+/, " ", text); sub(/^ /, "", text); sub(/ $/, "", text); return text }
        FNR == NR { keys[++count] = $0; next }
        /^[ \t]*[#;]/ || !/=/ { next }
        { at = index($0, "="); key = clean(substr($0, 1, at - 1)); sub(/^-/, "", key); gsub("/", ".", key); stored[key] = clean(substr($0, at + 1)) }
        END {
            for (i = 1; i <= count; i++) {
                key = keys[i]; path = "/proc/sys/" key; gsub(/\./, "/", path)
                if ((getline value < path) < 1) { printf "sysctl\t%s\n", key; continue }
                value = clean(value)
                if (key in stored && stored[key] != value) value = value " now, " stored[key] " after a start"
                printf "sysctl\t%s\t%s\n", key, value
            }
        }' - $files
}

look_sshd() {
    [ "$(there sshd)" = yes ] || return 0
    if said=$(attempt sshd sshd -T); then
        printf '%s\n' "$said" | awk '{ key = $1; sub(/^[^ ]+ ?/, ""); printf "sshd\t%s\t%s\n", key, $0 }'
    fi
}

look_unit() { # a name without ending is the service and its socket: what lets more in counts
    asked=$(names unit | sed '/\./s/.*/& &/; /\./!s/.*/& &.service\n& &.socket/')
    # shellcheck disable=SC2046  # a word for each unit
    said=$(attempt unit systemctl show --property=LoadState,UnitFileState,ActiveState -- $(printf '%s\n' "$asked" | cut -d ' ' -f 2)) || return 0
    printf '%s\n' "$said" | awk -v RS='' -v asked="$(printf '%s\n' "$asked" | cut -d ' ' -f 1 | tr '\n' ' ')" '
        function field(name) { return match($0, name "=[^\n]*") ? substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 1) : "" }
        BEGIN { split(asked, names, " ") }
        {
            name = names[NR]; active = field("ActiveState"); file = field("UnitFileState"); load = field("LoadState")
            if (load == "not-found") { value = "absent"; rank = 0 }
            else if (load == "masked") { value = "masked"; rank = 1 }
            else {
                value = (file == "" ? "static" : file) (active ~ /^(active|activating|reloading)$/ ? " running" : " stopped")
                rank = 2 + (file ~ /^enabled/) + 2 * (value ~ /running/)
            }
            if (!(name in best)) order[++count] = name
            if (!(name in best) || rank > best[name]) { best[name] = rank; found[name] = value }
        }
        END { for (i = 1; i <= count; i++) printf "unit\t%s\t%s\n", order[i], found[order[i]] }'
}

look_file() { # a line for each file that a pattern means; one program asks for all of them
    meant=$(names file | while read -r pattern; do
        for path in $pattern; do printf '%s\t%s\n' "$pattern" "$path"; done
    done)
    # shellcheck disable=SC2046  # names of files of the system have no blanks
    {
        stat -L --printf 'mode\t%n\t%04a %U:%G\n' -- $(printf '%s\n' "$meant" | cut -f 2)
        printf '%s\n' "$meant"
    } | awk -F '\t' '
        NF == 3 { mode[$2] = $3; next }
        !($1 in seen) { order[++count] = $1; seen[$1] = 0 }
        $2 in mode { print "file\t" $1 "\t" mode[$2]; seen[$1]++ }
        END { for (i = 1; i <= count; i++) if (!seen[order[i]]) print "file\t" order[i] "\tabsent" }'
}

sources() { # FILE: it and its drop-ins, the last word last
    case $1 in
    /etc/systemd/*.conf)
        echo "$1"
        for file in "/etc/systemd/${1##*/}.d"/*.conf "/run/systemd/${1##*/}.d"/*.conf "/usr/lib/systemd/${1##*/}.d"/*.conf; do
            [ ! -f "$file" ] || printf '%s\t%s\n' "${file##*/}" "$file"
        done | sort -s -u -t "$(printf '\t')" -k 1,1 | cut -f 2
        ;;
    *)
        for file in "$1.d"/*.conf; do [ ! -f "$file" ] || echo "$file"; done
        echo "$1"
        ;;
    esac
}

look_setting() {
    names setting | sed 's/!.*//' | sort -u | while read -r file; do
        for source in $(sources "$file"); do cat -- "$source" 2>/dev/null; done | awk -v file="$file" -v wanted="$(names setting | sed -n "s|^$file!||p" | tr '\n' ' ')" '
            BEGIN { count = split(wanted, keys, " ") }
            /^[ \t]*([#;[]|$)/ { next }
            { line = $0; sub(/^[ \t]+/, "", line); key = line; sub(/[ \t=].*/, "", key)
              value = substr(line, length(key) + 1); sub(/^[ \t]*=?[ \t]*/, "", value); sub(/[ \t]+(#.*)?$/, "", value); gsub(/^"|"$/, "", value)
              found[key] = value == "" ? "yes" : value }
            END { for (i = 1; i <= count; i++) { key = keys[i]; if (key in found) printf "setting\t%s!%s\t%s\n", file, key, found[key]; else printf "setting\t%s!%s\n", file, key } }'
    done
}

look_apt() {
    [ "$(there apt-config)" = yes ] || return 0
    said=$(attempt apt apt-config dump) || return 0
    names apt | awk '
        FNR == NR { keys[++count] = $0; next }
        { key = $1; value = $0; sub(/^[^ ]+ "/, "", value); sub(/";$/, "", value); found[key] = value }
        END { for (i = 1; i <= count; i++) if (keys[i] in found) printf "apt\t%s\t%s\n", keys[i], found[keys[i]]; else printf "apt\t%s\n", keys[i] }' - /dev/fd/4 4<<SAID
$said
SAID
}

look_package() {
    [ "$(there dpkg-query)" = yes ] || { say error package "dpkg is absent" && return; }
    # shellcheck disable=SC2046  # a word for each package
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' $(names package) 2>/dev/null | sed -n 's/^.i  *//p')
    names package | awk -v installed="$installed" '
        BEGIN { count = split(installed, names, "\n"); while (count) found[names[count--]] }
        { print "package\t" $0 "\t" ($0 in found ? "installed" : "absent") }'
}

look_module() {
    [ "$(own_kernel)" = yes ] || return 0
    said=$(attempt module modprobe --showconfig) || return 0
    kinds="/lib/modules/$(uname -r)"
    names module | while read -r name; do
        if grep -q "^$name " /proc/modules; then
            say module "$name" loaded
        elif printf '%s\n' "$said" | grep -Eq "^install $name /(usr/)?bin/(false|true)"; then
            say module "$name" blocked
        elif sed 's/:.*//' "$kinds/modules.dep" 2>/dev/null | tr - _ | grep -q "/$name\.ko"; then
            say module "$name" loadable
        else
            say module "$name" absent
        fi
    done
}

look_watch() {
    said=
    [ "$(there auditctl)" = no ] || said=$(attempt watch auditctl -l) || return 0
    names watch | awk -v said="$said" '
        BEGIN {
            for (count = split(said, lines, "\n"); count; count--) {
                words = split(lines[count], word, " ")
                if (word[1] != "-w" || word[2] in kept) continue
                for (i = 3; i < words; i++) if (word[i] == "-p") kept[word[2]] = word[i + 1]
            }
        }
        { print "watch\t" $0 "\t" ($0 in kept ? kept[$0] : "absent") }'
}

look_pam() {
    names pam | while read -r name; do
        case $name in nullok) pattern='pam_unix\.so.*nullok' ;; *) pattern="pam_$name\\.so" ;; esac
        if grep -Ehqs "^[^#]*$pattern" /etc/pam.d/common-auth /etc/pam.d/common-password; then say pam "$name" yes; else say pam "$name" no; fi
    done
}

look_mount() {
    names mount | while read -r path; do
        options=$(awk -v path="$path" '$2 == path { kept = $4 } END { print kept }' /proc/mounts)
        if [ -n "$options" ]; then say mount "$path" "$options"; else say mount "$path"; fi
    done
}

look_accounts() {
    [ -r /etc/shadow ] || { say error accounts "/etc/shadow cannot be read" && return; }
    awk -F: '
        function add(name, who) { found[name] = found[name] (found[name] == "" ? "" : " ") who }
        FILENAME == "/etc/passwd" {
            if ($3 == 0 && $1 != "root") add("root", $1)
            if ($4 == 0 && $1 !~ /^(root|sync|shutdown|halt|operator)$/) add("rootgroup", $1)
            if ($2 != "x") add("unshadowed", $1)
            if ($3 in uid) add("twins", $1); uid[$3]
            if ($1 in name) add("twins", $1); name[$1]
            if ($3 > 0 && $3 < 1000 && $1 !~ /^(sync|shutdown|halt)$/ && $7 !~ /(nologin|false)$/) add("shells", $1)
            home[$1] = $4
        }
        FILENAME == "/etc/shadow" && $2 == "" { add("empty", $1) }
        FILENAME == "/etc/group" { gid[$3]; if ($1 == "docker") add("docker", $4); if ($1 == "shadow") add("shadow", $4); if ($3 == 0 && $1 != "root") add("rootgroups", $1) }
        END {
            for (who in home) if (!(home[who] in gid)) add("groupless", who)
            count = split("root rootgroup rootgroups unshadowed twins shells empty docker shadow groupless", all, " ")
            for (i = 1; i <= count; i++) printf "accounts\t%s\t%s\n", all[i], found[all[i]]
        }' /etc/passwd /etc/shadow /etc/group
}

look_sudo() { # what sudoers says of all, not of one user
    [ -r /etc/sudoers ] || return 0
    said=$(cat /etc/sudoers /etc/sudoers.d/* 2>/dev/null)
    for word in use_pty authenticate; do
        case $word in authenticate) pattern='!authenticate' ;; *) pattern=$word ;; esac
        if printf '%s\n' "$said" | grep -Eq "^[[:space:]]*Defaults[^#]*[[:space:],]$pattern"; then say sudo $word yes; else say sudo $word no; fi
    done
}

look_updates() {
    now=$(date +%s)
    for stamp in /var/lib/apt/periodic/update-success-stamp /var/lib/apt/lists; do
        [ -e "$stamp" ] || continue
        say updates days $(((now - $(stat -c %Y "$stamp")) / 86400))
        break
    done
}

look_clock() {
    [ "$(there timedatectl)" = yes ] || return 0
    said=$(attempt clock timedatectl show --property=NTPSynchronized --value) && say clock synchronized "$said"
}

look_listeners() {
    said=$(attempt listeners ss -Hltn) || return 0
    say listeners ''
    printf '%s\n' "$said" | awk 'NF > 3 { printf "listeners\t%s\n", $4 }'
}

look_firewall() {
    say firewall containers "$(/usr/local/lib/citadelle/firewall state || echo open)"
    policy=$(nft list table inet citadelle | sed -n 's/.*hook input .*policy \([a-z]*\);.*/\1/p')
    say firewall input "${policy:-accept}"
    if iptables -S DOCKER-USER >/dev/null 2>&1 && iptables -S FORWARD 2>/dev/null | grep -q 'DOCKER-USER'; then say firewall docker yes; else say firewall docker no; fi
}

DOCKER='{"Version":{{json .ServerVersion}},"Driver":{{json .Driver}},"Store":{{json .DriverStatus}},"LiveRestore":{{json .LiveRestoreEnabled}},
"LogDriver":{{json .LoggingDriver}},"Security":{{json .SecurityOptions}},"Swarm":{{json .Swarm.LocalNodeState}},"Experimental":{{json .ExperimentalBuild}},
"Insecure":{{json .RegistryConfig.InsecureRegistryCIDRs}},"Registries":{{json .RegistryConfig.IndexConfigs}},"Root":{{json .DockerRootDir}}}'
CONTAINER='{"Name":{{json .Name}},"User":{{json .Config.User}},"Health":{{json .Config.Healthcheck}},"Mounts":{{json .Mounts}},
"Profile":{{json .AppArmorProfile}},"Host":{{json .HostConfig}}}'

look_docker() {
    [ "$(there docker)" = yes ] || return 0
    if said=$(attempt docker docker info --format "$(printf '%s' "$DOCKER" | tr -d '\n')"); then say json docker "$said"; else return 0; fi
    if [ -r /etc/docker/daemon.json ]; then say json daemon "$(tr -d '\n' </etc/docker/daemon.json)"; else say json daemon '{}'; fi
    said=$(attempt containers docker ps --quiet) || return 0
    say containers ''
    # shellcheck disable=SC2086  # a word for each container
    [ -z "$said" ] || docker inspect --format "$(printf '%s' "$CONTAINER" | tr -d '\n')" $said 2>/dev/null | sed 's/^/containers\t/'
}

look() { # `kind=name`...
    needs=$(printf '%s\n' "$@")
    for section in platform accounts sudo updates clock listeners docker $(printf '%s\n' "$needs" | sed 's/=.*//' | sort -u); do
        case $section in state) ;; *) "look_$section" ;; esac
    done 3>&1 2>/dev/null
}

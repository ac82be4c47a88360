#!/bin/sh
# Keeps in $folder what the line to a Linux host hangs on: its own keywords of sshd, and the rules of the packet filter in force.
for file in /etc/ssh/sshd_config.d/00-citadelle.conf /etc/citadelle/firewall.taken; do
    [ ! -e "$file" ] || cp -p -- "$file" "${folder:?}/${file##*/}"
done
! systemctl is-enabled --quiet citadelle-firewall 2>/dev/null || : >"${folder:?}/enabled"

#!/bin/sh
# Puts back what save.sh has kept in $folder, also after half a change, and twice.
for file in /etc/ssh/sshd_config.d/00-citadelle.conf /etc/citadelle/firewall.taken; do
    if [ -e "${folder:?}/${file##*/}" ]; then cp -p -- "$folder/${file##*/}" "$file"; else rm -f -- "$file"; fi
done
for unit in ssh sshd; do ! systemctl is-active --quiet $unit || systemctl reload $unit; done
if [ -e "$folder/enabled" ]; then
    systemctl restart citadelle-firewall
elif systemctl cat citadelle-firewall >/dev/null 2>&1; then
    systemctl disable --quiet --now citadelle-firewall
    /usr/local/lib/citadelle/firewall down
fi

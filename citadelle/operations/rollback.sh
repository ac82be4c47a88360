# Arms the rollback, then starts the change outside of this session: it goes on when the line is cut.
set -eu
folder=/var/lib/citadelle/rollback
unit=citadelle-rollback
export folder
if [ -e $folder/armed ] || [ -e $folder/undoing ]; then echo "another change waits for its confirmation: $folder" >&2; exit 1; fi
rm -rf $folder
mkdir -p $folder
chmod 700 $folder
forget() {
  systemctl stop --quiet $unit.timer
  systemctl disable --quiet $unit.service
  rm -rf $folder /etc/systemd/system/$unit.service
  systemctl daemon-reload
} 2>/dev/null
trap forget EXIT
(eval "$check")
(eval "$save")
printf '%s\n' "$change" >$folder/change
printf '%s\n' "$undo" >$folder/undo
printf '%s\n' "$run" >$folder/run
# The service undoes at the next boot; the timer, and the change itself, live in this boot only.
cat >/etc/systemd/system/$unit.service <<EOF
[Unit]
Description=Citadelle: an unconfirmed change of the line goes back
ConditionPathExists=$folder/run
[Service]
Type=oneshot
ExecStart=/bin/sh $folder/run
Restart=on-failure
RestartSec=60
[Install]
WantedBy=multi-user.target
EOF
systemctl daemon-reload
systemctl enable --quiet $unit.service
date -d "+$seconds seconds" +%s >$folder/armed
systemd-run --quiet --on-active="$seconds" --timer-property=AccuracySec=1s --unit=$unit.service
: >$folder/go
systemd-run --quiet --collect --unit=$unit-change /bin/sh $folder/run change
# From here on it is the change's own: it may have begun, and even ended, before this shell does.
trap - EXIT

# First by the run that armed it, to make the change (`change`); later by its time or a restart, to undo it.
set -u
folder=/var/lib/citadelle/rollback
unit=citadelle-rollback
export folder
if [ "${1:-}" = change ]; then
  mv $folder/go $folder/begun || exit 1
  sleep 1 # the answer of the run that armed it leaves first
  if told=$(sh -eu $folder/change 2>&1); then
    echo done >$folder/outcome
  else
    back=$(sh -eu $folder/undo 2>&1) || told="$told; and going back failed: $back"
    printf 'failed: %s\n' "$told" >$folder/outcome
  fi
  exit 0
fi
# Renamed in one step: either this goes back, or the confirmation came before.
mv $folder/armed $folder/undoing 2>/dev/null
if [ -e $folder/undoing ] && [ -e $folder/begun ]; then
  back=$(sh -eu $folder/undo 2>&1) || { printf 'failed: going back failed: %s\n' "$back" >$folder/outcome; exit 1; }
fi
systemctl disable --quiet $unit.service
systemctl stop --quiet $unit.timer 2>/dev/null
rm -rf $folder /etc/systemd/system/$unit.service
systemctl daemon-reload

folder=/var/lib/citadelle/rollback
unit=citadelle-rollback
if [ -e $folder/undoing ]; then echo undoing; exit; fi
if [ ! -e $folder/armed ]; then echo gone; exit; fi
if [ ! -e $folder/outcome ]; then echo waiting; exit; fi
outcome=$(cat $folder/outcome)
case "$outcome" in *"going back failed"*) printf '%s\n' "$outcome"; exit ;; esac
if [ "$outcome" = done ] && [ -z "$keep" ]; then echo done; exit; fi
# Renamed in one step: either this keeps the change, or the rollback was faster.
mv $folder/armed $folder/confirmed || exit 1
systemctl stop --quiet $unit.timer
systemctl disable --quiet $unit.service 2>/dev/null
rm -rf $folder /etc/systemd/system/$unit.service
systemctl daemon-reload
if [ "$outcome" = done ]; then echo kept; else printf '%s\n' "$outcome"; fi

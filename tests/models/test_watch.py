"""The watch as hosts run it, on real inotify: what touches the served files is judged at once."""

from __future__ import annotations

import pytest

from citadelle.models import watch
from tests.models.conftest import Store
from tests.models.test_bind import scenario

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("as_root")]

# `armed`: every folder and file of the store is watched. `judged`: another verdict is there than the one noted before.
WATCH = f"""
cp "$PROGRAM" "$D/verify.py"; cp {watch.__file__} "$D/watch.py"
watch() {{ "$PYTHON" -I -B "$D/watch.py" --store "$D/store" --lock "$D/lock.json" --select "$D/select" --target "$D/run/models" \\
  --verdict "$D/run/models.json" --floor "$D/serial" --metrics "$D/metrics/models.prom" 2>"$D/said" & pid=$!; }}
until_() {{ for _ in $(seq 400); do "$@" && return; sleep 0.02; done; echo "never: $*"; }}
armed_() {{ [ "$(cat /proc/$pid/fdinfo/* 2>/dev/null | grep -c '^inotify ')" -ge "$(find "$D/store" | wc -l)" ]; }}
judged_() {{ [ -e "$D/run/models.json" ] && ! [ "$D/run/models.json" -ef "$D/noted" ]; }}
note() {{ ln -f "$D/run/models.json" "$D/noted"; }}
verify bind; note
"""


def test_a_flipped_byte_ends_it_and_the_models_are_withdrawn(store: Store) -> None:
    lines = scenario(
        store,
        WATCH
        + 'watch; until_ armed_; ls_target; flip; wait $pid; echo $?; ls_target; verify status 2>/dev/null; echo $?; cat "$D/said"',
    )
    assert lines[:-1] == ["blobs manifests ", "3", "", "1"]
    assert f": model file does not match its lock: blobs/{store.blob().name}" in lines[-1]


@pytest.mark.parametrize(
    "touch",
    [
        'echo x >"$D/store/blobs/sha256-evil"',
        'mkdir "$D/store/manifests-v2"',
        'rm "$blob"',
        'mv "$blob" "$D/away"',
        'ln "$blob" "$D/other"',
        'chmod o+w "$blob"',
        'cp "$blob" "$D/x"; printf X | dd of="$D/x" bs=1 seek=9 conv=notrunc status=none; mv "$D/x" "$blob"',
    ],
    ids=["one more", "another folder", "removed", "moved away", "a second name", "open to all", "another in its place"],
)
def test_other_faults_end_it_too(store: Store, touch: str) -> None:
    assert scenario(store, WATCH + f"watch; until_ armed_; {touch}; wait $pid; echo $?; ls_target")[-2:] == ["3", ""]


def test_a_write_by_a_descriptor_from_before_is_seen(store: Store) -> None:
    lines = scenario(
        store, WATCH + 'exec 5<>"$blob"; watch; until_ armed_; printf X >&5; wait $pid; echo $?; ls_target'
    )
    assert lines[-2:] == ["3", ""]


def test_a_touch_that_changes_nothing_is_judged_and_served_on(store: Store) -> None:
    lines = scenario(
        store,
        WATCH + 'watch; until_ armed_; touch "$blob"; until_ judged_; ls_target; verify status; echo $?; kill $pid',
    )
    assert lines == ["blobs manifests ", "0"]


def test_what_happened_before_it_began_is_judged_first(store: Store) -> None:
    assert scenario(store, WATCH + "flip; watch; wait $pid; echo $?; ls_target")[-2:] == ["3", ""]


def test_without_a_store_it_fails(store: Store) -> None:
    lines = scenario(store, WATCH + 'mv "$D/store" "$D/away"; watch; wait $pid; echo $?; cat "$D/said"')
    assert lines[0] == "1"
    assert lines[-1].startswith("FileNotFoundError")

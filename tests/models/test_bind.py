"""The program itself, as hosts run it, with real mounts in a mount namespace of the test's own."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from citadelle.models import verify, watch
from tests.models.conftest import Store

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("as_root")]

# One namespace for a whole scenario: the script's lines run in it one after the other.
PRELUDE = """
set -u
verify() { "$PYTHON" -I -B "$PROGRAM" "$@" --store "$D/store" --lock "$D/lock.json" --select "$D/select" --target "$D/run/models" \
  --verdict "$D/run/models.json" --floor "$D/serial" --metrics "$D/metrics/models.prom"; }
blob="$D/store/blobs/$BLOB"
flip() { printf X | dd of="$blob" bs=1 seek=100 conv=notrunc status=none; }
ls_target() { ls "$D/run/models" 2>/dev/null | tr '\\n' ' '; echo; }
"""


def scenario(store: Store, script: str, *, select: str | None = None) -> list[str]:
    folder = store.path.parent
    (folder / "lock.json").write_text(json.dumps(store.lock) + "\n")
    if select is not None:
        (folder / "select").write_text(select)
    env = {
        **os.environ,
        "D": str(folder),
        "PROGRAM": verify.__file__,
        "PYTHON": sys.executable,
        "BLOB": store.blob().name,
    }
    # The folder is a mount of its own there: an unprivileged sandbox that forbids mounting fails here, loudly.
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", PRELUDE + script],
        capture_output=True, text=True, check=False, env=env, timeout=60,
    )  # fmt: skip
    return (done.stdout + done.stderr).splitlines()


def test_good_store_is_bound_read_only_and_again(store: Store) -> None:
    lines = scenario(
        store,
        """
        verify bind; echo $?; ls_target
        verify bind; echo $?; grep -c "$D/run/models " /proc/self/mountinfo
        touch "$D/run/models/x" 2>&1 | grep -c 'Read-only'
        grep "$D/run/models " /proc/self/mountinfo | cut -d' ' -f6
        verify status; echo $?
        verify release; echo $?; ls_target; verify release; echo $?
        """,
    )
    options = lines.pop(5)
    assert lines == ["0", "blobs manifests ", "0", "1", "1", "0", "0", "", "0"]
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(options.split(","))


def test_flipped_byte_empties_the_engines_path(store: Store) -> None:
    lines = scenario(store, "verify bind; ls_target; flip; verify bind; echo $?; ls_target; verify status; echo $?")
    what = f"{os.uname().nodename}: model file does not match its lock: blobs/{store.blob().name} (content is sha256:"
    assert [line for line in lines if not line.startswith(what)] == ["blobs manifests ", "1", "", "1"]
    verdict = json.loads((store.path.parent / "run/models.json").read_text())
    assert (verdict["ok"], [finding["code"] for finding in verdict["findings"]]) == (False, ["digest"])


def test_put_back_it_is_served_again(store: Store) -> None:
    lines = scenario(
        store,
        'cp "$blob" "$D/kept"; flip; verify bind 2>/dev/null; ls_target; cp "$D/kept" "$blob"; verify bind; echo $?; ls_target',
    )
    assert lines == ["", "0", "blobs manifests "]


def test_unreadable_lock_empties_the_path(store: Store) -> None:
    lines = scenario(
        store, 'verify bind; rm "$D/lock.json"; mkdir "$D/lock.json"; verify bind 2>/dev/null; echo $?; ls_target'
    )
    assert lines == ["1", ""]


def test_error_inside_the_verifier_empties_the_path_too(store: Store) -> None:
    lines = scenario(
        store,
        """
        verify bind; ls_target; sed 's/^def check_file(.*/&\\n    raise RuntimeError(path)/' "$PROGRAM" >"$D/broken.py"
        PROGRAM="$D/broken.py"; verify bind 2>&1 | grep -c '^RuntimeError'; ls_target
        """,
    )
    assert lines == ["blobs manifests ", "1", ""]


def test_what_lay_on_the_target_before_is_replaced(store: Store) -> None:
    lines = scenario(
        store,
        """
        mkdir -p "$D/run/models" "$D/evil/blobs"; mount --bind "$D/evil" "$D/run/models"; mount --bind "$D/evil" "$D/run/models"
        verify bind; echo $?; ls_target; grep -c "$D/run/models " /proc/self/mountinfo
        """,
    )
    assert lines == ["0", "blobs manifests ", "1"]


@pytest.mark.parametrize(
    "change",
    [
        "touch -d 2020-01-01 $blob",
        "mv $blob $blob.x; mv $blob.x $blob",
        "verify release",
        "umount $D/run/models",
        "echo >>$D/lock.json",
        """sed -i 's/"serial": 1/"serial": 2/' $D/lock.json""",
        """sed -i 's/"boot": "[^"]*"/"boot": "another"/' $D/run/models.json""",
    ],
)
def test_status_sees_a_change_without_hashing(store: Store, change: str) -> None:
    lines = scenario(store, f"verify bind; verify status; echo $?; {change}; verify status 2>/dev/null; echo $?")
    assert lines == ["0", "1"]


def test_selection_is_what_is_served(store: Store) -> None:
    names = [model["name"] for model in store.lock["models"]]
    assert scenario(store, "verify bind; echo $?; ls_target", select="\n".join(names)) == ["0", "blobs manifests "]
    assert scenario(store, "verify bind 2>/dev/null; echo $?; ls_target", select=names[0]) == ["1", ""]


def test_absent_store_and_lock_are_told(store: Store) -> None:
    host = os.uname().nodename
    assert scenario(store, 'mv "$D/store" "$D/away"; verify check; echo $?') == [
        "1",
        f"{host}: model file is missing: .",
    ]
    lines = scenario(store, 'rm "$D/lock.json"; verify check; echo $?')
    assert lines[0] == "1"
    assert lines[1].endswith("/lock.json (No such file or directory)")


def _with(store: Store, **terms: object) -> Store:
    store.lock.update(terms)
    return store


def test_an_older_lock_is_refused_for_good(store: Store) -> None:
    lines = scenario(
        _with(store, serial=7),
        """
        verify bind; echo $?; cat "$D/serial"; stat -c '%a %U' "$D/serial"
        sed -i 's/"serial": 7/"serial": 6/' "$D/lock.json"
        verify bind; echo $?; ls_target; cat "$D/serial"; verify status; echo $?
        sed -i 's/"serial": 6/"serial": 8/' "$D/lock.json"; verify bind; echo $?; ls_target; cat "$D/serial"
        """,
    )
    what = f"{os.uname().nodename}: the lock is refused: {store.path.parent}/lock.json (older than the lock served here before: "
    assert lines.count(what + "serial 6 after 7)") == 2
    assert [line for line in lines if not line.startswith(what)] == [
        *("0", "7", "644 root", "1", "", "7", "1"),
        *("0", "blobs manifests ", "8"),
    ]


def test_a_lock_that_was_never_served_raises_no_floor(store: Store) -> None:
    lines = scenario(
        _with(store, serial=7), 'flip; verify bind 2>/dev/null; echo $?; verify check 2>/dev/null; ls "$D/serial"'
    )
    assert lines[0] == "1"
    assert lines[1].startswith("ls: cannot access")


@pytest.mark.parametrize("damage", [": >", "echo x >", "echo -1 >", "echo 1.5 >", "echo ² >", "mkdir "])
def test_a_damaged_floor_lets_nothing_in(store: Store, damage: str) -> None:
    assert scenario(store, f'{damage} "$D/serial"; verify bind 2>/dev/null; echo $?; ls_target') == ["1", ""]


def test_an_expired_lock_is_not_served(store: Store) -> None:
    lines = scenario(_with(store, expires="2026-01-01T00:00:00Z"), "verify bind; echo $?; ls_target")
    assert lines[:2] == ["1", ""]
    assert lines[2].endswith("/lock.json (expired at 2026-01-01T00:00:00Z)")
    assert scenario(_with(store, expires="2999-01-01T00:00:00Z"), "verify bind; echo $?") == ["0"]


def test_a_flipped_byte_is_found_again_and_withdrawn(store: Store) -> None:
    """What runs already has its own hold on the mount; a next start finds an empty path, also after the byte was put back."""
    lines = scenario(
        store,
        """
        verify bind; verify recheck; echo $?; ls_target
        cp "$blob" "$D/kept"; flip; verify recheck 2>/dev/null; echo $?; ls_target
        cat "$D/kept" >"$blob"; verify recheck 2>&1 | sed 's/.*engine: .*run.models //'; ls_target
        verify bind; echo $?; ls_target
        """,
    )
    assert lines == [
        "0",
        "blobs manifests ",
        "1",
        "",
        "(systemctl restart citadelle-models)",
        "",
        "0",
        "blobs manifests ",
    ]


@pytest.mark.parametrize(
    "change",
    [
        'rm "$D/lock.json"',
        'echo x >"$D/store/blobs/sha256-evil"',
        'chmod o+w "$blob"',
        "umount $D/run/models",
        'mkdir -p "$D/evil/blobs"; mount --bind "$D/evil" "$D/run/models"',
        'mount -o remount,bind,rw none "$D/run/models"',
        'umount "$D/run/models"; mkdir "$D/evil"; mount --bind "$D/evil" "$D/run/models";'
        ' mount -o remount,bind,ro,nosuid,nodev,noexec none "$D/run/models"',
    ],
)
def test_whatever_is_wrong_by_now_is_withdrawn(store: Store, change: str) -> None:
    lines = scenario(
        store,
        f"verify bind; {change}; verify recheck 2>/dev/null; echo $?; ls_target; verify status 2>/dev/null; echo $?",
    )
    assert lines == ["1", "", "1"]


def test_nothing_is_bound_by_a_recheck(store: Store) -> None:
    assert scenario(
        store, "verify recheck 2>/dev/null; echo $?; ls_target; ls $D/serial 2>/dev/null; verify bind; echo $?"
    ) == ["1", "", "0"]


def test_an_error_inside_takes_the_verdict_back(store: Store) -> None:
    lines = scenario(
        store,
        """
        verify bind; sed 's/^def check_file(.*/&\\n    raise RuntimeError(path)/' "$PROGRAM" >"$D/broken.py"; PROGRAM="$D/broken.py"
        verify recheck 2>&1 | grep -c '^RuntimeError'; ls_target; ls "$D/run"
        """,
    )
    assert lines == ["1", "", "models", "models.lock"]


def gauges(lines: list[str]) -> dict[str, str]:
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))  # type: ignore[misc]


def test_metrics_name_the_model_that_differs(store: Store) -> None:
    chat, embed = (store.lock["models"][index]["name"] for index in (1, 0))
    right = gauges(scenario(store, 'verify bind; cat "$D/metrics/models.prom"'))
    assert {name: right[f'llm_model_digest_match{{model="{name}"}}'] for name in (chat, embed)} == {
        chat: "1",
        embed: "1",
    }
    assert (right["llm_models_served"], right["llm_models_lock_serial"]) == ("1", "1")
    assert int(right["llm_models_verification_bytes"]) > 100_000
    wrong = gauges(scenario(store, 'verify bind; flip; verify recheck 2>/dev/null; cat "$D/metrics/models.prom"'))
    assert {name: wrong[f'llm_model_digest_match{{model="{name}"}}'] for name in (chat, embed)} == {
        chat: "0",
        embed: "1",
    }
    assert wrong["llm_models_served"] == "0"


def test_a_fault_of_the_whole_store_is_every_models(store: Store) -> None:
    _with(store, expires="2999-01-01T00:00:00Z")
    found = gauges(
        scenario(store, 'verify bind; >"$D/store/more"; verify recheck 2>/dev/null; cat "$D/metrics/models.prom"')
    )
    assert [value for name, value in found.items() if name.startswith("llm_model_digest_match")] == ["0", "0"]
    assert found["llm_models_lock_expires_timestamp_seconds"] == "32472144000"
    found = gauges(
        scenario(
            store,
            'echo x >"$D/lock.json"; verify recheck 2>/dev/null; cat "$D/metrics/models.prom"',
            select="some/model/x:y\n",
        )
    )
    assert found['llm_model_digest_match{model="some/model/x:y"}'] == "0"
    assert "llm_models_lock_serial" not in found


def test_metrics_that_cannot_be_written_are_told_and_no_reason_to_stop(store: Store) -> None:
    lines = scenario(store, 'touch "$D/metrics"; verify bind; echo $?; ls_target')
    assert lines[:2] == ["0", "blobs manifests "]
    assert ": metrics cannot be written: " in lines[2]


def test_report(store: Store) -> None:
    report = json.loads(scenario(store, "verify check --json")[0])
    assert report["ok"]
    assert report["bytes"] == sum(path.stat().st_size for path in store.path.rglob("*") if path.is_file())
    assert report["models"] == [model["name"] for model in store.lock["models"]]
    assert {"seconds", "cpu_seconds", "rate", "lock"} <= set(report)


@pytest.mark.parametrize("module", [verify, watch])
def test_runs_on_the_oldest_supported_python(module: ModuleType) -> None:
    """Syntax of 3.9: hosts run it with what their distribution brings."""
    ast.parse(Path(str(module.__file__)).read_text(), feature_version=(3, 9))

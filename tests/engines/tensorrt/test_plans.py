"""The cache of plans: only what roadmask wrote is loaded, and it is written whole or not at all."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roadmask.cli.app import app
from roadmask.engines import EngineError
from roadmask.engines.errors import PlanForeignError, PlanTamperedError
from roadmask.engines.networks import cache
from roadmask.engines.tensorrt import plans
from roadmask.engines.tensorrt.plans import PlanKey, find_or_build, load, manifests, read_manifest, remove, unfinished

KEY = PlanKey("ab" * 32, "lite", "tensorrt-rtx", "1.7.1", "sm89", "", "fp16", "384x640", 4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROADMASK_CACHE", str(tmp_path))
    return tmp_path / "plans"


def test_built_once_and_then_found() -> None:
    plan, new = find_or_build(KEY, lambda: b"plan")
    again, new_again = find_or_build(KEY, pytest.fail)
    assert (new, new_again) == (True, False)
    assert again == plan == read_manifest(manifests()[0])
    assert load(again, KEY) == b"plan"


def test_what_a_killed_build_left_is_listed_and_can_be_removed(own_cache: Path) -> None:
    plan, _ = find_or_build(KEY, lambda: b"plan")
    plan.manifest.unlink()
    half = own_cache / f".{plan.path.name}.x1y2"
    half.write_bytes(b"pl")
    assert unfinished() == {plan.path.stem: 6}
    assert plan.path.stem in CliRunner().invoke(app, ["engine", "list"], env={"COLUMNS": "250"}).output
    assert remove(plan.path.stem) == 1
    assert not unfinished()
    assert not half.exists()

    half.write_bytes(b"pl")  # killed before the plan was whole
    assert unfinished() == {plan.path.stem: 2}
    assert remove(plan.path.stem) == 1
    assert not half.exists()


def test_two_that_want_the_same_build_it_once() -> None:
    built = []

    def build() -> bytes:
        built.append(1)
        return b"plan"

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: find_or_build(KEY, build)[0], range(8)))
    assert len(built) == 1
    assert len(set(found)) == 1


_BUILD = """
import sys, time
from roadmask.engines.tensorrt.plans import PlanKey, find_or_build
def build():
    with open(sys.argv[1], "a") as file:
        file.write("built\\n")
    time.sleep(0.5)
    return b"plan"
print(find_or_build(PlanKey("ab" * 32, "lite", "tensorrt-rtx", "1.7.1", "sm89", "", "fp16", "384x640", 4), build)[1])
"""


def test_two_processes_build_it_once(tmp_path: Path) -> None:
    log = tmp_path / "built"
    command = [sys.executable, "-c", _BUILD, str(log)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=300)[0].strip() for process in running)
    assert said == ["False", "True"]
    assert log.read_text() == "built\n"


@pytest.mark.parametrize(
    "field", ["onnx_sha256", "version", "chip", "driver", "precision", "shape", "flavour", "recipe"]
)
def test_everything_a_plan_depends_on_is_in_its_key(field: str) -> None:
    other = replace(KEY, **{field: "other"})
    assert other.name != KEY.name
    plan, _ = find_or_build(KEY, lambda: b"plan")
    with pytest.raises(PlanForeignError, match=f"{field} .*, not other: build it again"):
        load(plan, other)


@pytest.mark.parametrize(("field", "theirs"), [("version", "1.6"), ("driver", "12.4"), ("onnx_sha256", "cd" * 32)])
def test_a_stale_plan_is_built_anew_with_a_message(field: str, theirs: str, caplog: pytest.LogCaptureFixture) -> None:
    find_or_build(replace(KEY, **{field: theirs}), lambda: b"old")
    plan, new = find_or_build(KEY, lambda: b"plan")
    assert new
    assert load(plan, KEY) == b"plan"
    assert f"is stale: it is for {field} {theirs}, not " in caplog.text


def test_a_plan_for_another_use_is_not_called_stale(caplog: pytest.LogCaptureFixture) -> None:
    find_or_build(replace(KEY, chip="sm120", onnx_sha256="cd" * 32), lambda: b"old")
    find_or_build(KEY, lambda: b"plan")
    assert "stale" not in caplog.text


def test_the_manifest_says_whether_accuracy_was_measured() -> None:
    plan, _ = find_or_build(KEY, lambda: b"plan")
    assert read_manifest(plan.manifest).measured is None
    measured = {"precision": "fp16", "mask_ap": {"coco_dev": {"fp32": 0.4, "fp16": 0.4}}}
    again, new = find_or_build(KEY, pytest.fail, measured)
    assert not new
    assert again.measured == measured
    assert read_manifest(plan.manifest).measured == measured
    assert find_or_build(KEY, pytest.fail)[0].measured == measured


def test_a_changed_plan_is_refused_and_built_anew(caplog: pytest.LogCaptureFixture) -> None:
    plan, _ = find_or_build(KEY, lambda: b"plan")
    plan.path.write_bytes(b"evil")
    with pytest.raises(PlanTamperedError, match="was changed and is not loaded"):
        load(plan)
    again, new = find_or_build(KEY, lambda: b"plan")
    assert new
    assert load(again) == b"plan"
    assert "anew" in caplog.text


def test_a_missing_plan_is_refused() -> None:
    plan, _ = find_or_build(KEY, lambda: b"plan")
    plan.path.unlink()
    with pytest.raises(PlanTamperedError, match="cannot be read"):
        load(plan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda written: written["key"].update(batch=8), "was changed"),
        (lambda written: written["key"].pop("chip"), "no manifest"),
        (lambda written: written.update(extra=1), "no manifest"),
        (lambda written: written.update(bytes="many"), "no manifest"),
        (lambda written: written.update(key=3), "no manifest"),
    ],
    ids=["key", "field gone", "field more", "type", "no key"],
)
def test_a_changed_manifest_is_refused(change: object, message: str) -> None:
    plan, _ = find_or_build(KEY, lambda: b"plan")
    written = json.loads(plan.manifest.read_bytes())
    change(written)  # type: ignore[operator]
    plan.manifest.write_text(json.dumps(written))
    with pytest.raises(PlanTamperedError, match=message):
        read_manifest(plan.manifest)
    assert find_or_build(KEY, lambda: b"plan")[1]


@pytest.mark.parametrize("failing", [".plan", ".json"])
def test_a_full_disk_leaves_no_half_plan(own_cache: Path, failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write = cache.write_atomically

    def full(path: Path, content: bytes) -> None:
        if path.suffix == failing:
            raise EngineError(f"cannot write to the cache: {errno.ENOSPC}")
        write(path, content)

    monkeypatch.setattr(plans.cache, "write_atomically", full)
    with pytest.raises(EngineError, match="cannot write"):
        find_or_build(KEY, lambda: b"plan")
    assert not [path for path in own_cache.iterdir() if path.suffix != ".lock"]


def test_remove() -> None:
    find_or_build(KEY, lambda: b"plan")
    find_or_build(replace(KEY, batch=1), lambda: b"plan")
    assert remove("384x640-b4") == 1
    assert [read_manifest(path).key.batch for path in manifests()] == [1]
    assert remove("nothing") == 0


def test_a_plan_that_is_being_built_is_removed_afterwards_and_its_lock_stays(own_cache: Path) -> None:
    find_or_build(KEY, lambda: b"plan")
    lock = own_cache / f"{KEY.name}.lock"
    with ThreadPoolExecutor(1) as pool:
        with cache.lock(lock):
            removed = pool.submit(remove, KEY.name)
            with pytest.raises(TimeoutError):
                removed.result(timeout=0.2)
            assert len(manifests()) == 1
        assert removed.result() == 1
    assert lock.exists()
    assert not manifests()

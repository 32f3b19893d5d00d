"""Finished stores that go to an object store: S3, as moto serves it to s3fs over HTTP."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import zarr
from moto.server import ThreadedMotoServer

from roadmask.engines.errors import InputError, StoreError
from roadmask.streaming.batch.batch import BatchSettings, run_batch
from roadmask.streaming.batch.outcome import DriveOutcome
from roadmask.streaming.batch.publishing import PublishedFolder
from roadmask.streaming.store import check_drive, open_drive
from support.batches import plan_of, red_segmenter, single, write_drives
from support.compare_stores import differing_files


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    files(f"s3://bucket{port}")[0].mkdir(f"bucket{port}")
    yield f"s3://bucket{port}/drives"
    server.stop()


def files(url: str):  # type: ignore[no-untyped-def]
    import fsspec

    return fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)


def test_a_batch_goes_to_an_object_store(tmp_path: Path, bucket: str) -> None:
    settings = BatchSettings(workers=2, build=red_segmenter, destination=bucket)
    videos = write_drives(tmp_path / "videos", 2, broken=1)
    work = tmp_path / "work"
    result = run_batch(plan_of(videos, work, settings))
    assert [outcome.status for outcome in result.outcomes] == ["stored", "stored", "failed"]
    assert (result.exit_code, result.published_at) == (3, bucket)
    assert list(work.glob("*.zarr")) == []
    remote, root = files(bucket)
    for name in ("d00", "d01"):
        back = tmp_path / f"{name}.zarr"
        remote.get(f"{root}/{name}.zarr", str(back), recursive=True)
        assert differing_files(single(videos / f"{name}.mp4", tmp_path / f"{name}-single.zarr"), back) == []
        assert check_drive(back).ok
    direct = zarr.open_group(f"{bucket}/d00.zarr", mode="r")
    assert (direct["d00/0/id_map"][3] == open_drive(tmp_path / "d00.zarr")["d00"].id_map(3)).all()

    shutil.rmtree(work)  # as on another machine
    plan = plan_of(videos, work, settings)
    assert [drive.state for drive in plan.drives] == ["finished", "finished", "broken"]
    assert run_batch(plan).outcomes[0].skipped
    (videos / "d00.mp4").touch()
    assert [drive.state for drive in plan_of(videos, work, settings).drives] == ["new", "finished", "broken"]


def test_what_cannot_be_copied_waits_and_is_not_recorded_again(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = BatchSettings(workers=1, build=red_segmenter, destination=bucket)
    videos, work = write_drives(tmp_path / "videos", 1), tmp_path / "work"
    (work / ".batch").mkdir(parents=True)
    plan = plan_of(videos, work, settings)
    with monkeypatch.context() as patch:
        patch.setattr(PublishedFolder, "require_writable", lambda _: None)  # the way breaks after the batch has begun
        patch.setenv("AWS_SECRET_ACCESS_KEY", "")
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        result = run_batch(plan)
    (outcome,) = result.outcomes
    assert outcome.status == "failed"
    assert f"cannot write {bucket}" in outcome.reason
    assert check_drive(work / "d00.zarr").ok
    before = (work / "d00.zarr" / "provenance.jsonl").read_text()
    remote, root = files(bucket)
    assert not remote.exists(f"{root}/d00.zarr/zarr.json")
    remote.pipe_file(f"{root}/d00.zarr/left-over", b"half a store")
    assert run_batch(plan_of(videos, work, settings)).exit_code == 0
    assert remote.cat_file(f"{root}/d00.zarr/provenance.jsonl").decode() == before
    events = [json.loads(line)["event"] for line in before.splitlines()]
    assert events == ["created", "closed"]
    assert not remote.exists(f"{root}/d00.zarr/left-over")


def test_a_destination_that_cannot_be_reached_is_refused_before_anything_is_recorded(
    tmp_path: Path, bucket: str
) -> None:
    videos = write_drives(tmp_path / "videos", 1)
    settings = BatchSettings(build=red_segmenter, destination="s3://no-such-bucket/drives")
    with pytest.raises(StoreError, match=r"cannot \w+ s3://no-such-bucket/drives: .*credentials") as caught:
        run_batch(plan_of(videos, tmp_path / "work", settings))
    assert caught.value.exit_code == 4
    assert not list(tmp_path.glob("work/*.zarr"))


@pytest.mark.parametrize("url", ["gopher://host/drives", "adl://host/drives"])
def test_an_unknown_kind_of_url_is_named(url: str) -> None:
    with pytest.raises(InputError, match=url.partition(":")[0]):
        PublishedFolder(url)


def test_a_store_that_did_not_arrive_whole_is_not_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = single(write_drives(tmp_path / "videos", 1) / "d00.mp4", tmp_path / "d00.zarr")
    folder = PublishedFolder(f"file://{tmp_path}/published")
    put = folder._files.put

    def loses_one(sources: list[str], targets: list[str], **options: object) -> None:
        put(sources[1:], targets[1:], **options)

    monkeypatch.setattr(folder._files, "put", loses_one)
    with pytest.raises(StoreError, match="1 files differ from their copies"):
        folder.put(store, DriveOutcome("d00", "stored"), {})
    assert folder.finished("d00", {}) is None
    assert not (tmp_path / "published/d00.zarr/zarr.json").exists()
    monkeypatch.undo()
    folder.put(store, DriveOutcome("d00", "stored"), {})
    assert differing_files(store, tmp_path / "published/d00.zarr") == []
    assert folder.finished("d00", {}) == DriveOutcome("d00", "stored", skipped=True)
    assert folder.finished("d00", {"config": "another"}) is None

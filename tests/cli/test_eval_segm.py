"""`roadmask eval segm`, from arguments to figures and exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.cbook
import pytest

from roadmask.cli import main
from support.coco import car_world, square_rle, write_json

Cli = Callable[..., tuple[int, str]]


@pytest.fixture
def eval_segm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs the command; returns its exit code and what it printed, on one line."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["roadmask", "eval", "segm", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), " ".join((printed.out + printed.err).split())

    return run


def test_scores_a_file_of_results(eval_segm: Cli, tmp_path: Path) -> None:
    rle = square_rle(0, 20)
    found = [{"image_id": 7, "category_id": 3, "score": 0.9, "segmentation": rle | {"counts": rle["counts"].decode()}}]
    results = write_json(tmp_path / "results.json", found)
    code, printed = eval_segm("--gt", car_world(tmp_path), "--results", results, "--json", tmp_path / "ap.json")
    assert code == 0
    assert "car │ 2 │ 1 │ 0.505 │" in printed
    car, mean = json.loads((tmp_path / "ap.json").read_text())["results"]
    assert (car["class"], mean["class"]) == ("car", "all")
    assert {"AP", "AP50", "AP75", "APs", "APm", "APl"} <= car.keys()
    assert car["AP"] == pytest.approx(51 / 101)
    assert car["APl"] is None
    assert car["results"] == "results.json"


def test_runs_an_engine(eval_segm: Cli, tmp_path: Path) -> None:
    """What an engine found is the truth against which it is run again, so it finds exactly that."""
    portrait = Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    shape = {"id": 1, "file_name": portrait.name, "height": 600, "width": 512}
    whole = [[0, 0, 512, 0, 512, 600, 0, 600]]
    person = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": whole}
    truth = {"images": [shape], "annotations": [person], "categories": [{"id": 1, "name": "person"}]}
    arguments = ("--images", portrait.parent, "--engine", "torch", "--input-size", "192x160", "--score-min", 0.5)
    first = write_json(tmp_path / "first.json", truth)
    assert eval_segm("--gt", first, *arguments, "--save-results", tmp_path / "found.json")[0] == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found
    truth["annotations"] = [person | {"id": i, "segmentation": row["segmentation"]} for i, row in enumerate(found)]
    second = write_json(tmp_path / "second.json", truth)
    code, _ = eval_segm("--gt", second, *arguments, "--classes", "person", "--json", tmp_path / "ap.json")
    assert code == 0
    pedestrian, _ = json.loads((tmp_path / "ap.json").read_text())["results"]
    assert pedestrian["AP"] == pytest.approx(1.0)
    assert (pedestrian["weights"], pedestrian["engine"], pedestrian["precision"]) == ("lite", "torch", "fp32")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "expected --images DIR to segment or --results FILE to score"),
        (("--images", "{folder}/none"), "expected {folder}/none to be the folder"),
        (("--images", "{folder}"), "1 are missing: street.png"),
        (("--images", "{folder}", "--results", "{folder}/none.json"), "cannot read {folder}/none.json"),
        (("--results", "{folder}/truth.json"), "expected {folder}/truth.json to be COCO results"),
    ],
)
def test_bad_input_is_named(eval_segm: Cli, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    filled = [argument.format(folder=tmp_path) for argument in arguments]
    code, printed = eval_segm("--gt", car_world(tmp_path), *filled)
    assert code == 2
    assert words.format(folder=tmp_path) in printed


def test_a_class_that_the_model_does_not_know_is_named(eval_segm: Cli, tmp_path: Path) -> None:
    (tmp_path / "street.png").touch()
    truth = car_world(tmp_path)
    truth.write_text(truth.read_text().replace('"car"', '"dog"'))
    code, printed = eval_segm("--gt", truth, "--images", tmp_path)
    assert code == 2
    assert "has masks of dog, which the model does not know" in printed

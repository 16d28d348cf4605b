"""train, predict, evaluate and report: from a CSV file to predictions."""

import csv
import gzip
import io
import json
import os
import signal
import stat
import struct
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from cli_process import contents

from tinygrad_ce import data, nn
from tinygrad_ce.cli import main
from tinygrad_ce.cli.event_file import masked_crc

pytest.importorskip("safetensors")

FILES = {"run.json", "history.csv", "model.safetensors", "checkpoint.safetensors"}


def rows(n=60, seed=0):
    """A CSV text: two numbers and a text, by which three classes can be told."""
    rng = np.random.default_rng(seed)
    lines = ["size,weight,color,kind"]
    for i in range(n):
        kind = i % 3
        size, weight = rng.normal([kind * 3, -kind], 0.3)
        lines.append(f"{size:.3f},{weight:.3f},{('red', 'blue')[i % 2]},{'abc'[kind]}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text(rows())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*more, out="run", source="rows.csv"):
    target = [] if source in data.DATASETS else ["--target", "kind"]
    return main(["train", source, *target, "--out", out, "--epochs", "12", "--lr", "0.01", *more])


def test_a_folder_is_made_that_a_person_can_read(here, capsys):
    assert train() == 0
    out, err = capsys.readouterr()
    assert {path.name for path in (here / "run").iterdir()} == FILES
    assert "predict with: tinygrad-ce predict run NEW.csv" in out
    assert "rows.csv: 48 rows to train on, 12 to validate, 4 features, 3 classes" in err
    run = json.loads((here / "run" / "run.json").read_text())
    assert run["settings"]["epochs"] == run["result"]["epochs"] == 12
    history = list(csv.DictReader((here / "run" / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in history] == [str(i + 1) for i in range(12)]
    assert float(history[-1]["loss"]) == run["result"]["loss"]


def test_json_is_all_that_is_on_stdout(here, capsys):
    assert train("--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["run"] == "run"
    assert {"epochs", "loss", "accuracy", "validation_loss", "validation_accuracy"} <= {*result}


def test_the_loaded_model_predicts_raw_rows(here):
    train()
    checkpoint = nn.load("run/model.safetensors")
    new = [{"size": 0, "weight": 0, "color": "red"}, {"size": 6, "weight": -2, "color": "blue"}]
    assert checkpoint.predict(new).tolist() == ["a", "c"]
    assert not checkpoint.model.training


def test_predict_prints_a_csv_with_the_column_prediction(here, capsys):
    train()
    (here / "new.csv").write_text("color,size,weight\nred,0,0\nblue,6,-2\n")
    capsys.readouterr()
    assert main(["predict", "run", "new.csv"]) == 0
    assert capsys.readouterr().out == "prediction\na\nc\n"
    assert main(["predict", "run", "new.csv", "--proba", "-o", "out.csv"]) == 0
    assert capsys.readouterr().out == "out.csv\n"
    predicted = list(csv.DictReader((here / "out.csv").read_text().splitlines()))
    assert [*predicted[0]] == ["prediction", "p_a", "p_b", "p_c"]
    assert sum(float(predicted[0][f"p_{k}"]) for k in "abc") == pytest.approx(1, abs=1e-4)


def test_predict_reads_stdin(here, capsys, monkeypatch):
    train()
    capsys.readouterr()
    text = b"color,size,weight\nred,0,0\n"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    assert main(["predict", "run", "-"]) == 0
    assert capsys.readouterr().out == "prediction\na\n"


def test_predict_names_what_is_wrong_with_its_place_and_writes_nothing(here, capsys):
    train()
    (here / "new.csv").write_text("color,size,weight\nred,0,0\ngreen,6,-2\n")
    before = contents(here)
    capsys.readouterr()
    assert main(["predict", "run", "new.csv", "-o", "out.csv"]) == 2
    assert "new.csv, line 3, column 'color': 'green' is none of" in capsys.readouterr().err
    assert contents(here) == before


def test_evaluate_says_how_good_it_is_on_other_rows(here, capsys):
    train()
    (here / "test.csv").write_text(rows(30, seed=1))
    capsys.readouterr()
    assert main(["evaluate", "run", "test.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == np.sum(found["confusion"]) == 30
    assert found["accuracy"] == np.trace(found["confusion"]) / 30 > 0.9
    assert sum(part["rows"] for part in found["calibration"]) == 30
    assert main(["evaluate", "run", "test.csv"]) == 0
    assert "30 rows: accuracy" in capsys.readouterr().out


def test_the_data_sets_with_names_are_trained_on_like_files(here, capsys):
    assert train("--json", source="iris") == 0
    assert json.loads(capsys.readouterr().out)["validation_accuracy"] > 0.8
    assert main(["evaluate", "run", "iris", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 150


def test_save_writes_the_network_through_a_link_and_replaces_no_pipe(here, capsys):
    (here / "real").write_bytes(b"old")
    (here / "link").symlink_to(here / "real")
    os.mkfifo(here / "pipe")
    assert main(["train", "--epochs", "1", "--save", "link"]) == 0
    assert (here / "link").is_symlink()
    assert nn.load(here / "real").predict(data.iris()[0]).shape == (150,)
    assert main(["train", "--epochs", "1", "--save", "pipe"]) == 2
    assert stat.S_ISFIFO((here / "pipe").stat().st_mode)
    assert "pipe" in capsys.readouterr().err.splitlines()[-1]


def test_options_reach_the_training(here, capsys):
    more = "--hidden 8,4 --activation tanh --optimizer sgd --lr 0.05 --schedule one-cycle"
    more += " --batch 16 --dropout 0.1 --label-smoothing 0.1 --class-weight balanced"
    more += " --validation 0.3 --early-stopping 3 --seed 5 --max-norm 1 --weight-decay 0.001"
    assert train(*more.split()) == 0
    checkpoint = nn.load("run/checkpoint.safetensors")
    names = [type(layer).__name__ for layer in checkpoint.model.layers]
    assert names == ["Linear", "Tanh", "Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    assert type(checkpoint.optimizer).__name__ == "SGD"
    assert type(checkpoint.scheduler).__name__ == "OneCycleLR"
    assert checkpoint.early_stopping.patience == 3
    assert len(set(checkpoint.history.lr)) == len(checkpoint.history)


def test_missing_cells_are_refused_unless_a_policy_is_given(here, capsys):
    text = rows().replace("red", "NA", 3)
    (here / "rows.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert train(source="rows.csv.gz") == 2
    err = capsys.readouterr().err
    assert "rows.csv.gz, line 2, column 'color': the cell is missing" in err
    assert not (here / "run").exists()
    assert train("--missing", "category", source="rows.csv.gz") == 0


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_logs_have_a_line_for_each_epoch(here, ending):
    train("--log", f"m.{ending}")
    lines = (here / f"m.{ending}").read_text().splitlines()
    assert len(lines) == 12 + (ending == "csv")
    assert ending == "csv" or json.loads(lines[-1])["epoch"] == 12


def test_event_files_have_records_with_checksums(here):
    train("--tensorboard", "board")
    (path,) = (here / "board").iterdir()
    raw = path.read_bytes()
    records = []
    while raw:
        (length,) = struct.unpack("<Q", raw[:8])
        assert struct.unpack("<I", raw[8:12])[0] == masked_crc(raw[:8])
        records.append(raw[12 : 12 + length])
        assert struct.unpack("<I", raw[12 + length :][:4])[0] == masked_crc(records[-1])
        raw = raw[16 + length :]
    assert len(records) == 13
    assert records[0].endswith(b"brain.Event:2")
    assert all(b"test_accuracy" in record for record in records[1:])


@pytest.mark.slow
def test_report_is_a_page_about_the_run(here, capsys):
    train()
    assert main(["report", "run"]) == 0
    page = (here / "run" / "report.html").read_text(encoding="utf-8")
    for part in ("accuracy on 12 rows", "Calibration", "points lost", "color", "p − y", "<svg"):
        assert part in page


# ── Going on ──────────────────────────────────────────────────────────────────────────────────────


def final_state(folder):
    return {name: v.tobytes() for name, v in nn.load(folder).model.state_dict().items()}


def test_a_resumed_training_that_had_ended_comes_to_the_same_end(here, capsys):
    train("--early-stopping", "3", "--dropout", "0.2")
    before = final_state("run/model.safetensors")
    assert main(["train", "--resume", "run"]) == 0
    assert final_state("run/model.safetensors") == before


def test_changed_data_are_refused(here, capsys):
    train()
    (here / "rows.csv").write_text(rows(seed=2))
    assert main(["train", "--resume", "run"]) == 2
    assert "rows.csv has changed since run was trained on it" in capsys.readouterr().err


def test_a_second_training_on_what_cannot_be_read_leaves_the_first_as_it_was(here, capsys):
    train()
    before = final_state("run/model.safetensors")
    (here / "bad.csv").write_text("a,kind\n1,x\n")
    assert train(source="bad.csv") == 2
    assert final_state("run/model.safetensors") == before


def test_a_second_training_that_fails_leaves_no_model_of_the_first_behind(here, capsys):
    train()
    assert train("--lr", "1e30", "--optimizer", "sgd") == 1
    assert "the loss is" in capsys.readouterr().err
    assert not (here / "run" / "model.safetensors").exists()
    assert main(["predict", "run", "rows.csv"]) == 2
    assert "its training has not ended" in capsys.readouterr().err


def start_process(folder, *more):
    command = [sys.executable, "-m", "tinygrad_ce", "train", *more]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


LONG = "rows.csv --target kind --epochs 400 --dropout 0.2 --early-stopping 400 --schedule cosine"


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_to_the_same_end(here):
    start_process(here, *LONG.split(), "--out", "whole").communicate()
    expected = final_state("whole/model.safetensors")
    for delay in (0.3, 0.6, 0.9, None):
        begun = (here / "run/run.json").exists()
        more = ["--resume", "run"] if begun else [*LONG.split(), "--out", "run"]
        process = start_process(here, *more)
        if delay is not None:
            time.sleep(delay)
            process.kill()
        process.communicate()
    assert process.returncode == 0
    assert final_state("run/model.safetensors") == expected
    assert {path.name for path in (here / "run").iterdir()} == FILES


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="an interrupt of another process is not the same there")
def test_ctrl_c_ends_the_epoch_and_resume_goes_on(here):
    process = start_process(here, *LONG.split(), "--epochs", "20000", "--out", "run")
    while not (here / "run" / "checkpoint.safetensors").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 0
    assert b"go on with: tinygrad-ce train --resume run" in out
    assert b"finishing the epoch" in err
    assert nn.load(here / "run" / "checkpoint.safetensors").epoch > 0

import numpy as np
from cli_process import contents

from tinygrad_ce import train
from tinygrad_ce.cli import main
from tinygrad_ce.cli.experiment import prepare


def test_train_prints_the_accuracy_and_saves_weights(here, capsys):
    assert main(["train", "--save", "weights.npz", "--hidden", "5", "--seed", "3"]) == 0
    out, _ = capsys.readouterr()
    experiment = prepare("iris", hidden=5, seed=3)
    experiment.model.load_state_dict(dict(np.load("weights.npz")))
    share = train.accuracy(experiment.model, experiment.X_test, experiment.y_test)
    assert f"test accuracy: {share:.3f} " in out


def test_train_writes_nothing_unless_asked(here, capsys):
    assert main(["train", "--epochs", "1"]) == 0
    assert contents(here) == {"file"}

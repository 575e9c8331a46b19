"""Trains small models and exports them as a stranger would: <folder>/<name>.onnx, beside it <name>.golden.json.

Data is drawn from fixed seeds, on one thread. Features are like the service's: multiples of 2^-12 in -1..1. The golden
outputs are what the library itself predicts, in its own precision.
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
import onnx
from lightgbm import LGBMClassifier, LGBMRegressor
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType as LightGbmFloats
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

columns = 12
golden_rows = 32
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
random.seed(1)
source = np.random.default_rng(1)

x = np.round(source.uniform(-1, 1, size=(600, columns)) * 4096) / 4096
reward = 0.4 * x[:, 0] - 0.3 * x[:, 7] + 0.5 * x[:, 2] * x[:, 4] + source.normal(0, 0.1, size=600)
liked = (reward > 0.05).astype(int)
golden = x[:golden_rows]


def save(name, model, outputs):
    model.doc_string = ""
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    values = {"inputs": golden.tolist(), "outputs": np.asarray(outputs, dtype=float).ravel().tolist()}
    (folder / f"{name}.golden.json").write_text(json.dumps(values) + "\n")


def sklearn(name, model, target, options=None):
    model.fit(x, target)
    exported = to_onnx(model, initial_types=[("features", FloatTensorType([None, columns]))], options=options)
    outputs = model.predict_proba(golden)[:, 1] if hasattr(model, "predict_proba") else model.predict(golden)
    save(name, exported, outputs)


def lightgbm(name, model, target, **options):
    model.fit(x, target)
    initial = [("features", LightGbmFloats([None, columns]))]
    outputs = model.predict_proba(golden)[:, 1] if hasattr(model, "predict_proba") else model.predict(golden)
    save(name, convert_lightgbm(model, initial_types=initial, target_opset=15, **options), outputs)


sklearn("linear", LinearRegression(), reward)
sklearn("boosting", GradientBoostingRegressor(n_estimators=20, max_depth=3, random_state=1), reward)
scaled = make_pipeline(StandardScaler(), LogisticRegression())
sklearn("classifier", scaled, liked, options={"zipmap": False})
sklearn("classifier-zipmap", scaled, liked)  # the converter's default
sklearn("boosting-classifier", GradientBoostingClassifier(n_estimators=10, random_state=1), liked, {"zipmap": False})

small = dict(n_estimators=20, num_leaves=8, random_state=1, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1)
lightgbm("lightgbm", LGBMRegressor(**small), reward)
lightgbm("lightgbm-classifier", LGBMClassifier(**small), liked, zipmap=False)

for path in sorted(folder.glob("*.onnx")):
    onnx.checker.check_model(onnx.load(path))

"""Trains a small classifier and logs it, as somebody does who does not know of oO. Arguments: server, name, how."""

import json
import os
import sys

url, name, how = sys.argv[1:]
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"

import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402
from skl2onnx import to_onnx  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

rows = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
model = LogisticRegression().fit(rows, rows[:, 0] > 0)
exported = to_onnx(model, rows[:1], options={"zipmap": False})

mlflow.set_tracking_uri(url)
with mlflow.start_run():
    if how == "sklearn":
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name=name, pip_requirements=[], serialization_format="cloudpickle"
        )
    else:
        if how == "external":
            big = onnx.numpy_helper.from_array(np.zeros(4096, np.float32), "big")
            exported.graph.initializer.append(big)
        import mlflow.onnx

        mlflow.onnx.log_model(
            exported,
            name="model",
            registered_model_name=name,
            pip_requirements=[],
            save_as_external_data=how == "external",
        )
    if how != "no-golden":
        golden = {"inputs": rows[:4].tolist(), "outputs": model.predict_proba(rows[:4])[:, 1].tolist()}
        mlflow.log_dict(golden, "golden.json")
mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")

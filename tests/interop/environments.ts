import { fileURLToPath } from 'node:url';

const fileOf = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The Python environments: where each is made, and of what. Apart, since each pins what others pin otherwise. */
export const environments = {
  feast: { dir: fileOf('.oo/interop'), requirements: fileOf('tests/interop/requirements.txt') },
  parquet: { dir: fileOf('.oo/interop/parquet'), requirements: fileOf('tests/interop/parquet-requirements.txt') },
  litellm: { dir: fileOf('.oo/interop/litellm'), requirements: fileOf('tests/interop/litellm-requirements.txt') },
  onnx: { dir: fileOf('.oo/interop/onnx'), requirements: fileOf('tests/interop/onnx-requirements.txt') },
  notebook: { dir: fileOf('.oo/interop/notebook'), requirements: fileOf('tests/interop/notebook-requirements.txt') },
  prefect: { dir: fileOf('.oo/interop/prefect'), requirements: fileOf('tests/interop/prefect-requirements.txt') },
  airflow: { dir: fileOf('.oo/interop/airflow'), requirements: fileOf('tests/interop/airflow-requirements.txt') },
  mlflow: { dir: fileOf('.oo/interop/mlflow'), requirements: fileOf('tests/interop/mlflow-requirements.txt') },
} as const;

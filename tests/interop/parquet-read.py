"""Reads a training set with one of three readers and prints, as JSON, its types, its rows and its metadata."""
import datetime
import json
import sys


def plain(value):
    if value is None or str(value) == "NaT" or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, datetime.datetime):
        zoned = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
        return round(zoned.timestamp() * 1000)
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return value


def with_duckdb(path):
    import duckdb

    duckdb.sql("SET TimeZone = 'UTC'")
    found = duckdb.sql(f"SELECT * FROM read_parquet('{path}')")
    types = dict(zip(found.columns, [str(each) for each in found.types]))
    rows = [dict(zip(found.columns, map(plain, row))) for row in found.fetchall()]
    pairs = duckdb.sql(f"SELECT key, value FROM parquet_kv_metadata('{path}')").fetchall()
    return types, rows, {key.decode(): value.decode() for key, value in pairs}


def with_pyarrow(path):
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    table.validate(full=True)
    types = {field.name: f"{field.type}{'' if field.nullable else ' not null'}" for field in table.schema}
    rows = [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]
    return types, rows, {key.decode(): value.decode() for key, value in pq.read_metadata(path).metadata.items()}


def with_pandas(path):
    import pandas as pd

    frame = pd.read_parquet(path)
    rows = [{name: plain(value) for name, value in row.items()} for row in frame.to_dict("records")]
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}, rows, {}


readers = {"duckdb": with_duckdb, "pyarrow": with_pyarrow, "pandas": with_pandas}
types, rows, metadata = readers[sys.argv[1]](sys.argv[2])
json.dump({"types": types, "rows": rows, "metadata": metadata}, sys.stdout, allow_nan=False)

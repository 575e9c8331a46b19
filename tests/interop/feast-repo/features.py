"""What a team with a Feast of its own could have: two views of a person, under names of its own."""

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64

person = Entity(name="person", join_keys=["user_id"], value_type=ValueType.STRING)


def source(name: str) -> FileSource:
    return FileSource(name=name, path=f"{name}.parquet", timestamp_field="event_timestamp")


person_stats = FeatureView(
    name="person_stats",
    entities=[person],
    ttl=timedelta(days=30),
    schema=[Field(name="done_rate", dtype=Float64), Field(name="volume", dtype=Int64)],
    source=source("person_stats_rows"),
)

habits = FeatureView(
    name="habits",
    entities=[person],
    ttl=timedelta(days=30),
    schema=[Field(name="hour", dtype=Int64)],
    source=source("habits_rows"),
)

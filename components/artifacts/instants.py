"""The times of ratings in artifacts: instants in microseconds since 1970, UTC."""

import pyarrow as pa

INSTANT = pa.timestamp("us", tz="UTC")

RESOLUTIONS = {"day": 86_400_000_000, "second": 1_000_000, "millisecond": 1_000, "microsecond": 1}
"""The possible precisions of a source's times: units in microseconds, the coarsest first."""

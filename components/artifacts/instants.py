"""When a rating was given, as artifacts hold it: an instant in microseconds since 1970, UTC."""

import pyarrow as pa

INSTANT = pa.timestamp("us", tz="UTC")

RESOLUTIONS = {"day": 86_400_000_000, "second": 1_000_000, "millisecond": 1_000, "microsecond": 1}
"""How exactly a source tells the time: the units by name, the coarsest first, in microseconds."""

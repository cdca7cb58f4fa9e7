"""The `ratings` artifact: every rating that was ingested, as it was given, in Parquet.

| file | columns |
|---|---|
| `ratings.parquet` | customer_id, product_id, star_rating, review_date |
| `products.parquet` | product_id, product_title, product_category: one row a product |
| `rejects.parquet` | object, line, reason, raw: the rows that could not be read |

The manifest's details hold `sources` (bucket, key, etag, version_id and bytes of every object),
`rows`, `rejects` (count by reason) and `scale` (the lowest and the highest rating).
"""

import pyarrow as pa

KIND = "ratings"
SCHEMA_VERSION = 1

RATINGS = "ratings.parquet"
PRODUCTS = "products.parquet"
REJECTS = "rejects.parquet"

RATINGS_SCHEMA = pa.schema(
    {
        "customer_id": pa.string(),
        "product_id": pa.string(),
        "star_rating": pa.float32(),
        "review_date": pa.date32(),
    }
)
PRODUCTS_SCHEMA = pa.schema(
    {"product_id": pa.string(), "product_title": pa.string(), "product_category": pa.string()}
)
REJECTS_SCHEMA = pa.schema(
    {"object": pa.string(), "line": pa.int64(), "reason": pa.string(), "raw": pa.string()}
)

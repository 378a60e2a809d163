"""Raw sources to curated Parquet and token shards, as Apache Beam jobs. Never imports torch or Prefect."""

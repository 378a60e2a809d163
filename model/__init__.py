"""Token shards to a trained, aligned, evaluated and exported model. Never imports Beam or Prefect."""

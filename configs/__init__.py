"""The configs that come with the package: curation, tokenizer, plan, model shapes, training, the whole way."""

"""People to train and to measure with: published captures, the synthetic corpus, and the shards that both become."""

"""Shot lists in batch: from an edit's list to finished frames, on one machine or many; see `docs/batch.md`."""

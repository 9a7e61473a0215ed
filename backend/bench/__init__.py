"""Speed on this machine, as ratios measured side by side in one run where two ways exist."""

"""`python -m backend.open_head [FILE]` builds the open head."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from backend.open_head.build import build_open_head, save_open_head
from flame import default_head_path, load_head_model


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default_head_path()
    start = time.perf_counter()
    head = build_open_head()
    save_open_head(head, path)
    model = load_head_model(path)
    print(
        f"{path}: {len(model.v_template)} vertices, {len(model.faces)} triangles, "
        f"{model.num_shape} + {model.num_expression} components holding {100 * head.variance_share:.1f} % of the variance, "
        f"{path.stat().st_size / 1e6:.1f} MB, {time.perf_counter() - start:.0f} s"
    )


if __name__ == "__main__":
    main()

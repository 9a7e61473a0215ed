"""A batch of little heads as a process of its own, so that a test can kill it: OUTPUT WORKERS [gated] [temporal]."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "pipeline")]


def main(output: str, workers: str, *flags: str) -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from little_shots import gated_pipeline, little_pipeline, little_poses

    from backend.batch.job import Job
    from backend.batch.plan import BatchSettings, make_plan
    from backend.batch.run import Resources, run_job

    settings = BatchSettings("compact", 0.1, temporal="temporal" in flags)
    plan = make_plan(little_poses(), settings, {}, {})
    job = Job(Path(output))
    job.prepare()
    pipeline = gated_pipeline if "gated" in flags else little_pipeline
    resources = Resources(int(workers), batch=2, pipeline=pipeline)

    def tell(event: dict) -> None:
        print(json.dumps(event), flush=True)

    summary = run_job(plan, job, resources, (), ("little", ""), tell)
    sys.exit(1 if summary.failures else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])

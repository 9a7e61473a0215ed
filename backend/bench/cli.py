"""The commands of `turboportrait bench`."""

from backend.bench.batch import batch
from backend.bench.gpavatar import gpavatar
from backend.bench.product import app
from backend.bench.refiner import refiner

app.command()(batch)
app.command()(gpavatar)
app.command()(refiner)

__all__ = ["app"]

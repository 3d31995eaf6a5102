"""What `slipway status --watch` shows of a resource: a row of a table, or a line where there is no terminal.

Every cell goes through listing.plain: status quotes tenants, whose escapes are not for a terminal; rich's own markup is
not read in them. `now` is None where a line must not differ because time has gone by.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..api import inferenceservice, trainingjob
from ..plan.clock import seconds
from ..plan.observed import Obj
from .following import Place
from .listing import plain

WIDE_FROM = 120  # characters: narrower terminals do without what is marked as wide
NOTHING = "-"
UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))

Items = Mapping[Place, Obj]


@dataclass(frozen=True, slots=True)
class Column:
    """`cell` makes the text from the resource, "" for nothing to say."""

    title: str
    cell: Callable[[Obj, float | None], str]
    number: bool = False
    wide: bool = False


def _conditions(item: Obj) -> list[Mapping[str, str]]:
    conditions: list[Mapping[str, str]] = item.get("status", {}).get("conditions", [])
    return conditions


def _ready(item: Obj) -> Mapping[str, str]:
    return next((each for each in _conditions(item) if each["type"] == "Ready"), {})


def _reason(item: Obj, _: float | None) -> str:
    return _ready(item).get("reason", "NotSeenYet")


def _message(item: Obj, _: float | None) -> str:
    return _ready(item).get("message", "")


def _status(*path: str, suffix: str = "") -> Callable[[Obj, float | None], str]:
    """A field of the status, with its unit."""

    def cell(item: Obj, _: float | None) -> str:
        value: object = item.get("status", {})
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return "" if value is None else f"{value}{suffix}"

    return cell


def _steps(item: Obj, _: float | None) -> str:
    progress = item.get("status", {}).get("progress", {})
    step, total = progress.get("step"), progress.get("totalSteps")
    return "" if step is None else f"{step}/{total}" if total else f"{step}"


def _left(item: Obj, now: float | None) -> str:
    """Until the estimated end."""
    end = str(item.get("status", {}).get("progress", {}).get("estimatedCompletionTime", ""))
    if not end or now is None:
        return end
    try:
        return duration(seconds(end) - now)
    except ValueError:
        return ""


def _cost(item: Obj, _: float | None) -> str:
    allocation = item.get("status", {}).get("allocation", {})
    cost = allocation.get("estimatedCost")
    return "" if cost is None else f"{cost} {allocation.get('currency', '')}"


def _replicas(item: Obj, _: float | None) -> str:
    status = item.get("status", {})
    return f"{status.get('readyReplicas', 0)}/{status.get('replicas', 0)}"


JOB_COLUMNS = (
    Column("REASON", _reason),
    Column("ATTEMPT", _status("attempt"), number=True),
    Column("STEP", _steps, number=True),
    Column("LOSS", _status("progress", "loss"), number=True),
    Column("TOKENS/S", _status("progress", "tokensPerSecond"), number=True),
    Column("MFU", _status("progress", "mfuPercent", suffix="%"), number=True, wide=True),
    Column("GOODPUT", _status("progress", "goodputPercent", suffix="%"), number=True),
    Column("ETA", _left, number=True),
    Column("COST", _cost, number=True, wide=True),
    Column("MESSAGE", _message, wide=True),
)
SERVICE_COLUMNS = (
    Column("REASON", _reason),
    Column("READY", _replicas, number=True),
    Column("MODEL", _status("modelName")),
    Column("URL", _status("url"), wide=True),
    Column("MESSAGE", _message, wide=True),
)
TABLES = ((trainingjob.KIND, JOB_COLUMNS), (inferenceservice.KIND, SERVICE_COLUMNS))
COLUMNS = dict(TABLES)


def duration(length_seconds: float) -> str:
    """The two largest units of a time: 1h 12m. `now` for none."""
    left, parts = max(0, int(length_seconds)), []
    for unit, size in UNITS:
        if left >= size:
            parts.append(f"{left // size}{unit}")
        left %= size
    return " ".join(parts[:2]) or "now"


def line(place: Place, item: Obj | None) -> str:
    """One resource on one line, without a time of day; `item` is None for one that is gone."""
    head = f"{place.kind} {place.namespace}/{place.name}"
    if item is None:
        return f"{head} deleted"
    told = ((column.title.lower(), plain(column.cell(item, None))) for column in COLUMNS[place.kind])
    return " ".join([head, *(f"{title}={_quoted(text)}" for title, text in told if text)])


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text


def board(items: Items, trouble: str, *, now: float, width: int) -> Group:
    """All resources: jobs, then services. `trouble`: why this may be old."""
    tables = [_table(kind, columns, items, now=now, wide=width >= WIDE_FROM) for kind, columns in TABLES]
    shown = [table for table in tables if table.row_count]
    parts = [part for table in shown for part in (table, Text())] or [Text("No TrainingJob and no InferenceService.")]
    return Group(*parts, *([Text(f"{plain(trouble)}: trying again", style="bold red")] if trouble else []))


def _table(kind: str, columns: Iterable[Column], items: Items, *, now: float, wide: bool) -> Table:
    columns = [column for column in columns if wide or not column.wide]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"{kind.upper()}S", no_wrap=True)
    for column in columns:
        table.add_column(column.title, justify="right" if column.number else "left", no_wrap=True)
    for place in sorted((place for place in items if place.kind == kind), key=lambda each: (each.namespace, each.name)):
        cells = (_cell(column, items[place], now) for column in columns)
        table.add_row(Text(plain(f"{place.namespace}/{place.name}")), *cells)
    return table


def _cell(column: Column, item: Obj, now: float) -> Text:
    text = plain(column.cell(item, now)) or NOTHING
    return Text(text, style=_colour(item) if column.cell is _reason else "")


def _colour(item: Obj) -> str:
    """Red for what is over without success, green for what works, yellow for what is on its way."""
    true = {each["type"] for each in _conditions(item) if each["status"] == "True"}
    if "Failed" in true:
        return "red"
    return "green" if true & {"Ready", "Running"} else "yellow"

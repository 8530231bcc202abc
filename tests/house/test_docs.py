"""What the guides say is true: paths, commands, links, numbers' names and examples exist.

An example is a fence `http`: a request, or the answer to the request before it. Both have to fit
the API's description, so an example that has grown old is found here.
"""

import csv
import functools
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from jsonschema import Draft202012Validator

import app.main  # what the API does not know of cannot be set, and is told of by no guide
import app.problems
from app.activation import simulator as activation
from app.activation.rules import ActivationCode, ActivationState, OverrideCause
from app.alerts.rules import AlertEvent, AlertKind, DeliveryState, GivenUp
from app.board.rules.words import Doing, Risk, Works
from app.catalog.rules import OnSite
from app.cli import cli
from app.commissions.rules import EntryKind, FlagKind, FlagState
from app.core.files import CsvFile
from app.core.geo import CoordSys
from app.core.parameters import Parameter
from app.core.settings import Settings
from app.customers import loading as customers
from app.customers import months
from app.devices.rules import PushProvider, PushWhy, WipeState
from app.dispatch.importing import read_map
from app.dispatch.rules import Cause, Fault, HoldState, NotOffered, PassedOver, Verdict
from app.evidence.rules import PictureFault, UploadState
from app.feasibility.rules import Blocks, Infeasible, ReservationState
from app.followups.rules import FollowUpChannel, FollowUpState, NoAnswer, Reason
from app.grids.rules import ExpansionFigure, GridStage, MembershipKind
from app.lifecycle.rules import CardSource, ChangeKind, ChurnClass, Signal, Stage, Tier
from app.messaging import simulator as messaging
from app.messaging.rules import FailReason, MessageKind, MessageState
from app.ordering.delivery import ChangeKind as OrderChangeKind
from app.ordering.delivery import (
    ChangeState,
    CloseReason,
    Endpoint,
    GiveUpReason,
    JudgedEnd,
    Trying,
)
from app.ordering.rules import Cause as SyncCause
from app.ordering.rules import Failure, RemoteState
from app.ordering.simulator import BASE_PATH, Dials
from app.outages.rules import OutageCause, OutageState, PlaceKind, WhenOver
from app.overdue.rules import CompensationState
from app.phone.command import cli as phones
from app.planning.rules.fairness import Measure, Standing
from app.policies.rules import EvaluationState, StepState
from app.policies.rules.metrics import Metric
from app.policies.rules.promotion import Check, GroupKind
from app.presence.rules import Dropped, DutyEnd
from app.promises.rules import Clock, Level, ProofKind, StopCause
from app.real_name import simulator as real_name
from app.real_name.rules import AgeGroup, DocumentKind, RealNameCode, RealNameState
from app.reconciliation.rules import (
    DifferenceKind,
    DifferenceState,
    Explanation,
    Heal,
    Resolution,
    RunState,
)
from app.retention import loading as retention
from app.retention.rules import (
    Arm,
    CaseOutcome,
    CaseState,
    Hand,
    LeaveReason,
    StayReason,
    TermsState,
    ToolkitKind,
)
from app.retention.rules import Cause as Why
from app.retention.rules import Handling as Care
from app.sales.rules import (
    ConsentKind,
    Protection,
    Relation,
    RequestState,
    ReversalReason,
    SaleState,
    SaleStep,
    SecondChannel,
    SecondState,
)
from app.sales.rules.funnel import Counts, Exclusion, FunnelStage
from app.serviceability import simulator as serviceability
from app.serviceability.rules import Source as LineSource
from app.suggestions.rules import AnswerKind, DeclineReason
from app.suggestions.rules.answering import GUARDS
from app.suggestions.rules.contacts import ContactOutcome, SlotState
from app.suggestions.rules.leads import LeadState, LeadTo
from app.suggestions.rules.model import ModelKind, PolicyState
from app.sync.rules import TABLES, ActionVerdict, Judgement
from app.sync.rules.live import StreamEnd, StreamEvent
from app.technicians import loading as technicians
from app.technicians.rules import Away
from app.terminals import loading as terminals
from app.terminals.rules import Cause as Found
from app.terminals.rules import (
    Difference,
    DueCause,
    DueState,
    Handling,
    KeptCause,
    Pool,
    WriteOffCause,
)
from app.terminals.rules.depot import RowFault
from app.territory.rules.vacancies import WarningKind
from app.visits.rules import Mark, ScanAction, ScanWarning
from app.visits.rules.installing import NotNow
from app.workorders.rules import State, UnplacedReason
from app.worktypes.rules import Line, Wanting
from tests.house.pages import (
    ROOT,
    Fence,
    Message,
    anchors,
    commands,
    exchanges,
    fences,
    headings,
    links,
    message,
    prose,
    spans,
)
from tests.house.served import is_door, misfits, operation_of

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = sorted([ENGLISH, CHINESE, *(ROOT / "api_docs").rglob("*.md")])
RECORDS = sorted((ROOT / "api_docs" / "decisions").glob("*.md"))

CSV_FILES = {
    file.what: file
    for room in (technicians, customers, months, terminals, retention)
    for file in vars(room).values()
    if isinstance(file, CsvFile)
}

each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)


def test_there_is_something_to_check():
    assert len(PAGES) > 8
    assert sum(len(list(exchanges(page))) for page in PAGES) > 40


# --- examples -------------------------------------------------------------------------------------


def lines_of(body: str) -> list[Any]:
    """The lines of NDJSON; one that is no JSON (shown on purpose) as it stands."""
    read: list[Any] = []
    for line in body.splitlines():
        try:
            read.append(json.loads(line))
        except json.JSONDecodeError:
            read.append(line)
    return read


@each_page
def test_examples_fit_the_description(page):
    wrong = []
    for request, answer in exchanges(page):
        method, target = request.line.split()[:2]
        operation = operation_of(method, target)
        if operation is None:
            continue  # the simulator's; that the path exists is tested below
        wrong += [f"{request.line}: {fault}" for fault in wrong_in(operation, request, answer)]
    assert not wrong, "\n".join(wrong)


def wrong_in(operation: dict[str, Any], request: Message, answer: Message | None) -> Iterator[str]:
    status = int(answer.line.split()[0]) if answer else 200
    kind = request.headers.get("content-type", "")
    if kind == "application/json" and status not in (400, 422):
        content = operation["requestBody"]["content"]
        yield from misfits(content[kind]["schema"], json.loads(request.body))
    if answer is None:
        return
    if str(status) not in operation["responses"]:
        yield f"{status} is not among its answers"
        return
    if not answer.body:
        return
    if answer.headers.get("content-type") == "application/x-ndjson":
        verdicts = lines_of(answer.body)
        for verdict in verdicts:
            yield from misfits({"$ref": "#/components/schemas/VerdictOut"}, verdict)
        for sent, verdict in zip(lines_of(request.body), verdicts, strict=True):
            if verdict["verdict"] != "refused":
                yield from misfits({"$ref": "#/components/schemas/OrderIn"}, sent)
        return
    if status >= 400:
        yield from misfits({"$ref": "#/components/schemas/Problem"}, json.loads(answer.body))
        return
    (content,) = operation["responses"][str(status)]["content"].values()
    yield from misfits(content["schema"], json.loads(answer.body))


@each_page
def test_json_can_be_read(page):
    for kind, text in fences(page):
        if kind == "json":
            json.loads(text)
        elif kind == "http":
            shown = message(text)
            if shown.body.startswith("{") and "ndjson" not in shown.headers.get("content-type", ""):
                json.loads(shown.body)


@each_page
def test_refusals_in_examples_are_known(page):
    known = set(re.findall(r"^### (\S+)$", app.problems.page(), re.MULTILINE))
    named = set(re.findall(r"urn:yingwei:problem:([a-z\-]+)", page.read_text("utf-8")))
    assert named <= known


def test_the_order_in_the_guide_is_valid_tmf622(shared_dir):
    (file,) = (shared_dir / "tmf" / "TMF622").glob("*v4.0.0_swagger.json")
    schema = json.loads(file.read_text("utf-8"))
    schema["$ref"] = "#/definitions/ProductOrder_Create"
    (order,) = (
        json.loads(text)
        for kind, text in fences(ROOT / "api_docs" / "ordering-system.md")
        if kind == "json"
    )
    assert not [e.message for e in Draft202012Validator(schema).iter_errors(order)]


# --- what is named --------------------------------------------------------------------------------


@each_page
def test_every_path_named_is_served(page):
    named = [request.line.split()[:2] for request, _ in exchanges(page)]
    named += [span.split() for span in spans(page) if re.fullmatch(r"[A-Z]+ /\S*", span)]
    methods = ("GET", "POST", "PUT", "DELETE")
    missing = [f"{method} {path}" for method, path in named if not is_door(method, path)]
    missing += [
        span
        for span in spans(page)
        if re.match(r"/(v1|_simulator|tmf-api|healthz|readyz|metrics|docs|productOrder)\b", span)
        and span not in (BASE_PATH, serviceability.BASE_PATH, serviceability.OFFERING_BASE_PATH)
        and not any(is_door(method, span) for method in methods)
    ]
    assert not missing


@each_page
def test_every_command_exists(page):
    root = typer.main.get_command(cli)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = [
        words
        for words in commands(page)
        if (words[:1] == ["make"] and not set(words[1:2]) <= targets)
        or (words[:1] == ["yingwei"] and not is_command(root, words[1:]))
    ]
    assert not unknown


def is_command(command: Any, words: list[str]) -> bool:
    words = words[: words.index("#")] if "#" in words else words
    while words and hasattr(command, "commands"):
        if words[0] == "phone" and "phone" in command.commands:
            # It is loaded only when somebody takes it into the hand.
            command, words = typer.main.get_command(phones), words[1:]
            continue
        own = {name: each for each in command.params for name in each.opts}
        if words[0] in own:
            words = words[1 if own[words[0]].is_flag else 2 :]
            continue
        if words[0] not in command.commands:
            return False
        command, words = command.commands[words[0]], words[1:]
    options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    return {word.partition("=")[0] for word in words if word.startswith("--")} <= options


@each_page
def test_every_parameter_setting_and_function_named_exists(page):
    rooms = {name.partition(".")[0] for name in Parameter.known}
    dotted = {span for span in spans(page) if re.fullmatch(r"[a-z]+\.[a-z_.]+", span)}
    named = {span for span in dotted if span.partition(".")[0] in rooms}
    assert not {span for span in named - set(Parameter.known) if not is_code(span)}
    assert set(VARIABLE.findall(page.read_text("utf-8"))) <= variables()


VARIABLE = re.compile(r"\bYINGWEI_[A-Z_]+\b")


@functools.cache
def variables() -> frozenset[str]:
    """The settings, and what single commands and tests read from the environment beside them."""
    files = [*(ROOT / "app").rglob("*.py"), *(ROOT / "tests").rglob("test_*.py")]
    read = {name for file in files for name in VARIABLE.findall(file.read_text("utf-8"))}
    return frozenset(read | {f"YINGWEI_{name.upper()}" for name in Settings.model_fields})


def is_code(name: str) -> bool:
    """Tell whether a dotted name is a module, function or class of the product."""
    try:
        pkgutil.resolve_name(f"app.{name}")
    except (ImportError, AttributeError):
        return False
    return True


# --- links ----------------------------------------------------------------------------------------


@each_page
def test_every_link_leads_somewhere(page):
    broken = []
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


# --- pages ----------------------------------------------------------------------------------------


def test_the_catalogue_of_refusals_equals_the_code():
    written = (ROOT / "api_docs" / "problems.md").read_text("utf-8")
    assert written == app.problems.page(), "run `yingwei problems`"


@pytest.mark.parametrize(
    "name, of",
    [
        ("ordering-system.md", Dials),
        ("activation-system.md", activation.Dials),
        ("messaging-system.md", messaging.Dials),
        ("real-name-system.md", real_name.Dials),
        ("serviceability-system.md", serviceability.Dials),
    ],
)
def test_the_table_of_dials_equals_the_code(name, of):
    page = (ROOT / "api_docs" / name).read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", page, re.MULTILINE)
    dials = {name: json.dumps(field.default) for name, field in of.model_fields.items()}
    assert {name: value for name, value in rows if name in dials} == dials


@pytest.mark.parametrize(
    "name, codes",
    [
        ("phone-apps.md", [*UploadState, *PictureFault]),
        ("phone-sync.md", [*ActionVerdict, *Judgement, *TABLES]),
        ("phone-sync.md", [*StreamEvent, *StreamEnd, *PushProvider, *PushWhy]),
        ("phone-apps.md", [*Dropped, *DutyEnd]),
        ("supervisor-tools.md", list(WipeState)),
        ("upstream-orders.md", [*State, *UnplacedReason, *Verdict, *NotOffered, *HoldState]),
        (
            "territory-tools.md",
            [*Away, *MembershipKind, *GridStage, *ExpansionFigure, *WarningKind],
        ),
        (
            "dispatch-tools.md",
            [
                *(*PassedOver, *Cause, *Fault, *Doing, *Risk, *Works, *Measure, *Standing),
                *(*PlaceKind, *OutageState, *OutageCause, *WhenOver),
            ],
        ),
        ("phone-apps.md", [*ConsentKind, *AnswerKind, *OnSite, *CoordSys, *Mark, *Wanting, *Line]),
        ("supervisor-tools.md", [*FollowUpState, *FollowUpChannel, *NoAnswer, *Reason]),
        (
            "supervisor-tools.md",
            [*Stage, *Tier, *ChurnClass, *Signal, *ChangeKind, *CardSource],
        ),
        ("phone-apps.md", [*ActivationState, *ActivationCode, *OverrideCause]),
        ("supervisor-tools.md", [*OverrideCause, *MessageKind, *MessageState, *FailReason]),
        ("messaging-system.md", list(MessageKind)),
        ("phone-apps.md", [*DocumentKind, *RealNameState, *RealNameCode, *AgeGroup]),
        ("real-name-system.md", list(DocumentKind)),
        ("phone-apps.md", [*RequestState, *Protection, *SecondChannel, *SecondState, *Relation]),
        ("supervisor-tools.md", [*Protection, *SecondState]),
        ("phone-apps.md", [*DeclineReason, *GUARDS.values(), *LeadTo, *NotNow]),
        ("upstream-orders.md", [*ContactOutcome, *SlotState]),
        ("supervisor-tools.md", list(LeadState)),
        ("phone-apps.md", [*ScanAction, *ScanWarning, *Difference]),
        ("supervisor-tools.md", [*Handling, *Pool, *RowFault, *Difference, *Found]),
        ("ordering-system.md", [*RemoteState, *Endpoint]),
        ("phone-apps.md", [*SaleState, *SaleStep, *OrderChangeKind, *ChangeState]),
        ("phone-apps.md", [*Infeasible, *Blocks, *ReservationState, *LineSource]),
        ("supervisor-tools.md", [*ReversalReason, *FunnelStage, *Counts, *Exclusion]),
        ("supervisor-tools.md", [*EntryKind, *FlagKind, *FlagState]),
        ("supervisor-tools.md", [*Endpoint, *OrderChangeKind, *ChangeState]),
        (
            "supervisor-tools.md",
            [*DifferenceKind, *DifferenceState, *Resolution, *Explanation, *Heal, *RunState],
        ),
        (
            "supervisor-tools.md",
            [*SyncCause, *Failure, *Trying, *GiveUpReason, *JudgedEnd, *CloseReason],
        ),
        ("supervisor-tools.md", [*AlertKind, *AlertEvent, *DeliveryState, *GivenUp]),
        ("promises.md", [*Clock, *StopCause, *ProofKind, *Level, *CompensationState]),
        ("supervisor-tools.md", [*PolicyState, *ModelKind, *Check, *GroupKind, *Metric]),
        ("supervisor-tools.md", [*EvaluationState, *StepState]),
        ("supervisor-tools.md", [*DueCause, *DueState, *WriteOffCause, *KeptCause]),
        (
            "supervisor-tools.md",
            [
                *(*Why, *Care, *CaseState, *CaseOutcome, *StayReason, *Arm),
                *(*ToolkitKind, *Hand, *TermsState, *LeaveReason),
            ],
        ),
    ],
)
def test_every_code_is_told(name, codes):
    told = set(spans(ROOT / "api_docs" / name))
    assert [str(code) for code in codes if str(code) not in told] == []


def test_the_columns_of_files_equal_the_code():
    rows = re.findall(
        r"^\| `([\w-]+)` \| (.+) \|$",
        (ROOT / "api_docs" / "own-data.md").read_text("utf-8"),
        re.MULTILINE,
    )
    told = {kind: columns.replace("**", "").split(", ") for kind, columns in rows}
    assert told == {
        kind: [column.name for column in file.columns] for kind, file in CSV_FILES.items()
    }


def test_the_map_in_the_guide_reads_the_file_beside_it():
    shown = dict(fences(ROOT / "api_docs" / "upstream-orders.md"))
    table = list(csv.DictReader(shown["csv"].splitlines()))
    mapping = read_map(shown["yaml"])
    mapping.check_columns(list(table[0]))
    first = mapping.order(table[0], source="test", coordsys=mapping.coordsys)
    assert not misfits({"$ref": "#/components/schemas/OrderIn"}, json.loads(json.dumps(first)))


# The same thing in two languages; a twin's links lead to its own twin.
TWINS = {"README.zh-CN.md": "README.md", "api_docs/flow.zh.svg": "api_docs/flow.svg"}


def test_the_readmes_are_twins():
    def levels(page: Path) -> list[int]:
        return [level for level, _ in headings(page)]

    def rows(page: Path) -> int:
        return len(re.findall(r"^\|", prose(page), re.MULTILINE))

    def shown(page: Path) -> list[Fence]:
        """Commands without their comments; what a program printed as it is."""
        return [
            Fence(kind, re.sub(r"\s*#.*", "", text) if kind == "sh" else text)
            for kind, text in fences(page)
        ]

    def led(page: Path) -> list[str]:
        # A link to the other twin, to a twin picture, or to a heading differs by its nature.
        return ["#" if link.startswith("#") else TWINS.get(link, link) for link in links(page)]

    assert levels(CHINESE) == levels(ENGLISH)
    assert rows(CHINESE) == rows(ENGLISH)
    assert shown(CHINESE) == shown(ENGLISH)
    assert led(CHINESE) == led(ENGLISH)


def test_chinese_prose_has_full_width_punctuation():
    text = re.sub(r"`[^`]*`|\]\([^)]*\)|<[^>]*>", "", prose(CHINESE))
    assert not re.findall(r"[一-鿿][,;:?!()]|[,;:?!()][一-鿿]", text)


def test_the_pictures_are_twins():
    def bare(name: str) -> str:
        drawing = (ROOT / "api_docs" / name).read_text("utf-8")
        return re.sub(r">[^<]+<", "><", re.sub(r'lang="[^"]+"|<style>.*?</style>', "", drawing))

    assert bare("flow.svg") == bare("flow.zh.svg")


@each_page
def test_no_page_speaks_of_one_machine_or_of_work_to_do(page):
    text = page.read_text("utf-8")
    assert not re.findall(r"/(?:work|tmp|root|home|Users|opt)/\S*", text)
    assert not re.findall(r"\b(?:TODO|FIXME|TBD|XXX)\b|@@|<<\w", text)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_decision_record_says_why(record):
    text = record.read_text("utf-8")
    assert re.match(r"\d{4}-[a-z0-9-]+$", record.stem)
    assert re.search(r"^# ", text, re.MULTILINE)
    told = {heading.lower() for heading in re.findall(r"^## (\w+)", text, re.MULTILINE)}
    assert {"context", "decision", "consequences"} <= told


def test_decision_records_have_numbers_of_their_own():
    numbers = [record.name[:4] for record in RECORDS]
    assert len(set(numbers)) == len(numbers)

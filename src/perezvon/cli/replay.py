"""`perezvon replay`: what is made of recorded events, and what the portal would be asked. Touches no PBX, no portal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from perezvon.bitrix24 import methods
from perezvon.calls import Call, CallEnded, Event, Fact, Numbering, Snapshot, Tracker
from perezvon.calls.recorded import read_recording
from perezvon.cli.exits import Exit, Refusal, kindly
from perezvon.cli.installation import opened
from perezvon.cli.options import Verbose
from perezvon.customisation import Customiser
from perezvon.delivery.kinds import KINDS
from perezvon.rules import Decision, Kind, People, PlanState, Policy, Ref, StepDraft, plan
from perezvon.rules.missed import Missed, after
from perezvon.rules.recordings import mode_of
from perezvon.rules.templates import LATE, finished
from perezvon.settings.load import load
from perezvon.settings.model import Settings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.storage import employees

TASK = "$task"
"""In place of the number of the client's task."""

OBJECT = "$object"
"""In place of the number of an object of the CRM, and of an address that is known only when the portal has answered."""


@kindly
def replay(
    file: Annotated[Path, typer.Argument(help="Recorded events: raw AMI text or JSON, also gzipped.", metavar="FILE")],
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            help="A settings file: add the decisions and the requests that would have been sent.",
            metavar="FILE",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            help="The same with the saved settings and the known employees of this installation.",
            metavar="DIR",
        ),
    ] = None,
    pbx: Annotated[
        str, typer.Option("--pbx", help="Which PBX of the settings the events come from; the first, if not given.")
    ] = "",
    hooks: Annotated[
        Path | None,
        typer.Option("--hooks", help="Ask the functions in this folder too (customisation.md).", metavar="DIR"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON list instead of one object a line.")] = False,
    verbose: Verbose = False,
) -> None:
    """Print one JSON object a call, made of recorded events."""
    if not file.is_file():
        raise Refusal(f"there is no file {file}", Exit.USAGE)
    chosen, users = _chosen(settings, data_dir, pbx)
    if hooks is not None and (chosen is None or not hooks.is_dir()):
        raise Refusal("--hooks wants a folder, and --settings or --data-dir beside it", Exit.USAGE)
    events = read_recording(file)
    entry = None if chosen is None else next((entry for entry in chosen.asterisk if not pbx or entry.name == pbx), None)
    numbering = _numbering(chosen, entry)
    name = entry.name if entry else pbx or "pbx"
    told = list(_rounds(events, numbering, name, seen=hooks is not None))
    rounds = [facts for facts, _calls in told]
    ended = [fact.record for facts in rounds for fact in facts if isinstance(fact, CallEnded)]
    calls = sorted((call for call in ended if not call.absorbed_into), key=lambda call: call.started)
    rows = [call.as_json() for call in calls]
    if chosen is not None:
        people = People(_everybody(rounds, numbering) if users is None else users)
        decided = asyncio.run(_decided(told, _policy(chosen, entry), people, chosen, name, hooks))
        rows = [{**row, "decisions": [_shown(decision) for decision in decided.get(row["id"], ())]} for row in rows]
    if json:
        sys.stdout.write(dumps(rows, ensure_ascii=False, indent=2) + "\n")
    else:
        for row in rows:
            sys.stdout.write(dumps(row, ensure_ascii=False) + "\n")


def _chosen(file: Path | None, data_dir: Path | None, pbx: str) -> tuple[Settings | None, Mapping[str, str] | None]:
    """The settings to decide by, if any, and the portal's employees (extension or phone -> user id), if known."""
    settings = load(file) if file is not None else None
    if data_dir is None:
        return settings, None

    async def work(folder: Path) -> tuple[Settings, Mapping[str, str] | None]:
        async with opened(folder) as installation:
            wanted = settings or (await installation.store.load()).settings
            portal = wanted.portal_of(pbx)
            if portal is None:
                return wanted, None
            async with installation.database.read() as conn:
                people, refreshed = await employees.load(conn, portal.name)
        if refreshed is None:
            return wanted, None
        from perezvon.service import policies  # noqa: PLC0415  the house is large, and only this needs it

        return wanted, policies.people(policies.directory(people, refreshed)).users

    return asyncio.run(work(data_dir))


def _numbering(settings: Settings | None, entry: AsteriskSettings | None) -> Numbering:
    if settings is None:
        return Numbering()
    if entry is None:
        return Numbering(extension_pattern=settings.calls.extension_pattern, region=settings.calls.region)
    from perezvon.service import policies  # noqa: PLC0415  the house is large, and only this needs it

    return policies.numbering(settings, entry)


def _policy(settings: Settings, entry: AsteriskSettings | None) -> Policy:
    from perezvon.service import policies  # noqa: PLC0415  as above

    portal = policies.portal_or_nobodys(settings, entry.name if entry else "")
    return policies.policy(settings, portal, "replay", "1")


def _everybody(rounds: Iterable[list[Fact]], numbering: Numbering) -> dict[str, str]:
    """Where the employees are not known: each extension is the user of the same number."""
    seen = {str(getattr(fact, "extension", "")) for facts in rounds for fact in facts}
    return {extension: extension for extension in seen if extension.isdigit() and numbering.is_extension(extension)}


Told = tuple[list[Fact], dict[str, Call | None]]
"""Facts, and the calls that they tell of as they are then."""


def _rounds(events: Sequence[Event], numbering: Numbering, pbx: str, *, seen: bool) -> Iterator[Told]:
    """The facts of each event, with the calls if they shall be `seen`. What the recording leaves running ends with it."""
    tracker = Tracker(pbx, numbering)
    at = 0.0
    bar = Console(stderr=True)
    for event in track(events, "replay", console=bar, transient=True, disable=not bar.is_terminal):
        at = max(at, event.at)
        facts = tracker.feed(event)
        yield facts, _calls(facts, tracker) if seen else {}
    facts = tracker.resync(Snapshot(at, (), {}, {}, restarted=True))
    yield facts, _calls(facts, tracker) if seen else {}


def _calls(facts: Iterable[Fact], tracker: Tracker) -> dict[str, Call | None]:
    over = {fact.call: fact.record for fact in facts if isinstance(fact, CallEnded)}
    return {fact.call: over.get(fact.call) or tracker.call(fact.call) for fact in facts}


async def _decided(
    rounds: Iterable[Told], policy: Policy, people: People, settings: Settings, pbx: str, folder: Path | None
) -> dict[str, list[Decision]]:
    """`folder`: of the hooks that are asked too."""
    from perezvon.service.hooks import CallHooks  # noqa: PLC0415  the house is large, and only this needs it

    customiser = Customiser(folder, settings.customisation.limits())
    await customiser.open()
    hooks = CallHooks(pbx, customiser)
    states: dict[str, PlanState] = {}
    missed: dict[str, Missed] = {}
    decided: dict[str, list[Decision]] = {}
    try:
        for facts, calls in rounds:
            by_call: dict[str, list[Fact]] = {}
            for fact in facts:
                by_call.setdefault(fact.call, []).append(fact)
            for call, told in by_call.items():
                state = states.get(call, PlanState())
                if hooks.active:
                    states[call], decisions = await hooks.plan(state, told, policy, people, calls[call])
                else:
                    states[call], decisions = plan(state, told, policy, people)
                decided.setdefault(call, []).extend(decisions)
                for ended in (fact for fact in told if isinstance(fact, CallEnded)):
                    if ended.record.answered is not None and ended.record.recordings and _kept(states[call]):
                        decided[call].append(Decision(mode_of(policy.line_of(ended.record), policy)[1]))
                    client = ended.record.client
                    row, reason, step = after(missed.get(client), ended.record, "portal", policy, people)
                    missed.update({} if row is None else {client: row})
                    if reason is not None:
                        decided[call].append(Decision(reason, () if step is None else (step,)))
    finally:
        await customiser.close()
    return decided


def _kept(state: PlanState) -> bool:
    """Whether a recording of the call goes anywhere at all."""
    return (state.registered or bool(state.portal_call)) and not state.recording_stays


def _shown(decision: Decision) -> dict[str, Any]:
    return {
        "reason": str(decision.reason),
        "requests": [asked for step in decision.steps for asked in (_of_task(step) or _after(step) or [request(step)])],
    }


def _of_task(step: StepDraft) -> list[dict[str, Any]]:
    """The requests for a client's task, as far as they do not depend on what is found there; empty for other steps."""
    params: Mapping[str, Any] = step.params
    asked: list[tuple[str, dict[str, Any]]] = []
    if step.kind is Kind.MISSED_TASK and not params["change"]:
        asked = [(methods.ADD_TASK, {"fields": {**params["task"], "RESPONSIBLE_ID": params["chain"][0]}})]
    elif step.kind in (Kind.MISSED_TASK, Kind.CLOSE_TASK):
        fields = {"POST_MESSAGE": params["comment"]}
        asked = [(methods.UPDATE_TASK, {"taskId": TASK, "fields": params["change"]})] if params.get("change") else []
        asked.append((methods.ADD_COMMENT, {"TASKID": TASK, "FIELDS": fields}))
        asked += [(methods.COMPLETE_TASK, {"taskId": TASK})] if params.get("close") else []
    common = {"priority": step.priority.name.lower(), "reason": str(step.reason)}
    return [{"method": method, "params": with_, **common} for method, with_ in asked]


def _after(step: StepDraft) -> list[dict[str, Any]]:
    """What is written into the CRM or told after the call, as far as that does not depend on what is found there."""
    params: Mapping[str, Any] = step.params
    late: dict[str, str] = dict.fromkeys(LATE, OBJECT)
    if step.kind is Kind.FILL:
        of = params["object"]
        method = methods.UPDATE_ACTIVITY if of == "activity" else f"{methods.OBJECT[of]}.update"
        fields = {one["name"]: one.get("value") or finished(one["parts"], late) for one in params["fields"]}
        asked = [(method, {"id": OBJECT, "fields": fields})]
    elif step.kind is Kind.ANNOUNCE:
        to, message = params["to"], finished(params["parts"], late)
        chat = to.startswith("chat")
        named = {"DIALOG_ID": to} if chat else {"USER_ID": to}
        asked = [(methods.ADD_MESSAGE if chat else methods.NOTIFY, {**named, "MESSAGE": message})]
    elif step.kind is Kind.BIND:
        asked = [(methods.BIND_ACTIVITY, {"activityId": OBJECT, "deals": params["deals"], "leads": params["leads"]})]
    elif step.kind is Kind.TRIGGER:
        asked = [(methods.EXECUTE_TRIGGER, {"CODE": params["CODE"], "OWNER_TYPE_ID": OBJECT, "OWNER_ID": OBJECT})]
    else:
        return []
    common = {"priority": step.priority.name.lower(), "reason": str(step.reason)}
    return [{"method": method, "params": with_, **common} for method, with_ in asked]


def request(step: StepDraft) -> dict[str, Any]:
    """What the portal would be asked, as JSON."""
    return {
        "method": KINDS[step.kind].method,
        "params": {name: _value(value) for name, value in step.params.items()},
        "priority": step.priority.name.lower(),
        "reason": str(step.reason),
    }


def _value(value: Any) -> Any:
    return f"$result[{value.key or value.kind.value}][{value.field}]" if isinstance(value, Ref) else value

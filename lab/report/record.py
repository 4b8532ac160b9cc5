# SPDX-License-Identifier: GPL-2.0-only
"""Store an attempt and its judgement: as a result, and as a dossier if required."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.errors import LabError
from lab.judge import Judgement, stored
from lab.judge.observation import Observation
from lab.report.dossier import Dossier
from lab.report.rerun import rerun_line
from lab.report.result import Result, append
from lab.runner.attempt import Attempt
from lab.scenario.items import Item

EXCERPT_LINES = 30
EXCERPT_REPORTS = 3


def record(
    folder: Path, attempt: Attempt, judgement: Judgement, *, keep: bool = False, rerun: str = ""
) -> Result:
    """Write the result of an attempt below `folder`, the run's folder, and return it.

    An item that did not pass gets a dossier; with `keep` each item does. `rerun` is the command
    that runs the item again; "" stands for the usual one.
    """
    result = to_result(attempt, judgement, rerun)
    if judgement.verdict != "passed" or keep:
        result = _write_dossier(folder, result, attempt)
    append(folder, result)
    return result


def record_error(folder: Path, item: Item, error: LabError) -> Result:
    """Write the result of an item that could not be planned, and return it."""
    result = Result(
        item=item.id,
        scenario=str(item.scenario.path),
        summary=item.scenario.summary,
        flavor=item.flavor,
        verdict="error",
        reasons=(str(error),),
        rerun=rerun_line(item),
    )
    append(folder, result)
    return result


def to_result(attempt: Attempt, judgement: Judgement, rerun: str = "") -> Result:
    """Return the result of an attempt that was judged; see `record` for `rerun`."""
    item, seen = attempt.item, attempt.observation
    failed, source = judgement.verdict != "passed", judgement.rests_on
    return Result(
        item=item.id,
        scenario=str(item.scenario.path),
        summary=item.scenario.summary,
        flavor=item.flavor,
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        trust=source.trust.name.lower() if source else "",
        rests_on=source.words if source else "",
        findings=tuple(finding.to_json() for finding in judgement.findings),
        evidence=tuple(evidence.to_json() for evidence in seen.evidence),
        outcomes=dict(seen.first.outcomes),
        state=seen.state or "",
        guest=str(seen.facts.get("start", "")),
        excerpt=_excerpt(seen) if failed else "",
        extension_reports=_extension_reports(seen, EXCERPT_REPORTS) if failed else "",
        forgeries=tuple(forgery.to_json() for forgery in seen.forgeries),
        forged=seen.forged,
        seconds=attempt.seconds,
        parts=attempt.parts,
        rerun=rerun or rerun_line(item),
    )


def _write_dossier(folder: Path, result: Result, attempt: Attempt) -> Result:
    seen = attempt.observation
    facts = {"kernel_release": attempt.kernel_release, **seen.facts}
    try:
        observation = stored.to_json(seen, attempt.item)
    except Exception as error:
        # A guest may answer what JSON can't hold. That costs this file, and no verdict.
        observation, facts["observation"] = "", f"not stored: {error!r}"
    dossier = Dossier(
        result,
        console=seen.console,
        verifier_log=seen.first.log,
        compiler_log=seen.first.compiler_log,
        extension_reports=_extension_reports(seen),
        steps=[
            {**vars(one), "step": one.step.label, "maps": str(one.maps)}
            for done in (seen.first, seen.second)
            if done is not None
            for one in done.results
        ],
        facts=facts,
        events=attempt.events,
        observation=observation,
    )
    try:
        path = str(dossier.write(folder))
    except OSError as error:
        path = f"(could not be written: {error})"
    return replace(result, dossier=path)


def _excerpt(seen: Observation) -> str:
    if seen.reports:
        blocks = [
            "\n".join(report.lines[:EXCERPT_LINES]) for report in seen.reports[:EXCERPT_REPORTS]
        ]
        return "\n...\n".join(blocks)
    if seen.state == "alive" and seen.infra_error is None:
        return ""  # the kernel printed nothing about it
    return "\n".join(seen.console.splitlines()[-EXCERPT_LINES:])


def _extension_reports(seen: Observation, most: int | None = None) -> str:
    """Return the reports on programs, with the programs' names; at most `most`, then a count."""
    shown = seen.extension_reports[:most]
    blocks = ["\n".join([report.title, *report.text.splitlines()[1:]]) for report in shown]
    more = len(seen.extension_reports) - len(shown)
    if more:
        blocks.append(f"... and {more} more")
    return "".join(f"{block}\n" for block in blocks)

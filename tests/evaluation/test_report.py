"""The report of `whet eval language`."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from whet.evaluation import Record, Row, summarise
from whet.evaluation.report import language_report

UNIONS = {"seen": {"poems", "code"}, "unseen": {"chess"}}
METHODS = {"sift(0.1)": 0.8, "sift(0.01)": 0.9, "random": 1.1}


class Tables(HTMLParser):
    """The rows of each table of a page as lists of words, and its headings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.headings: list[str] = []
        self._open: list[str] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th", "h2"):
            self._open = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._open is not None:
            self.tables[-1][-1].append(" ".join(self._open))
        elif tag == "h2" and self._open is not None:
            self.headings.append("".join(self._open))

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._open.append(data.strip())


def rows(domains: tuple[str, ...] = ("poems", "code", "chess"), picks: tuple[int, ...] = (10, 50)) -> list[Row]:
    rng = np.random.default_rng(0)
    records = []
    for index in range(4 * len(domains)):
        group = domains[index % len(domains)]
        for mode in ("whole", "halves"):
            base = rng.normal(2.5, 0.1)
            records.append(Record(str(index), group, mode, "base", 0, base, None, {"score": 0.1}))
            for method, factor in METHODS.items():
                for n in picks:
                    bits = base * factor + rng.normal(0, 0.01)
                    records.append(
                        Record(str(index), group, mode, method, n, bits, 0.5, {"train": n / 50, "score": 0.1})
                    )
    return summarise(records, {name: groups for name, groups in UNIONS.items() if groups & set(domains)})


@pytest.fixture
def report(tmp_path: Path) -> Tables:
    path = tmp_path / "report.html"
    assert language_report(rows(), {"model": "tiny", "picks": [10, 50]}, path, unions=UNIONS) == path
    return Tables(path.read_text(encoding="utf-8"))


def test_every_mode_has_its_sections_and_the_settings_come_last(report: Tables) -> None:
    assert report.headings == [
        "How to read this",
        "Mode: whole",
        "By domain, mode whole",
        "What a query costs, mode whole",
        "Mode: halves",
        "By domain, mode halves",
        "What a query costs, mode halves",
        "Settings",
    ]


def test_all_comes_first_then_the_unions_then_the_domains(report: Tables) -> None:
    by_domain = next(table for table in report.tables if table[0][0] == "domain")
    assert [line[0] for line in by_domain[1:]] == ["all", "seen", "unseen", "poems", "code", "chess"]
    assert by_domain[0][3:] == [f"{method}, {n} picks" for method in METHODS for n in (10, 50)]


def test_the_cells_are_those_of_the_rows(report: Tables) -> None:
    cells = {(r.domain, r.method, r.picks): r for r in rows() if r.mode == "whole"}
    by_domain = next(table for table in report.tables if table[0][0] == "domain")
    chess = next(line for line in by_domain if line[0] == "chess")
    row = cells["chess", "sift(0.1)", 10]
    assert row.ci95 is not None
    assert chess[3] == f"{row.percent_of_base:.1f} {row.ci95[0]:.1f}–{row.ci95[1]:.1f}"
    measured = next(table for table in report.tables if table[0][0] == "method")
    assert [line[0] for line in measured[1:3]] == ["base", "sift(0.1), 10 picks"]
    assert measured[2][1] == f"{cells['all', 'sift(0.1)', 10].bits_per_byte:.3f}"
    assert len(measured) == 1 + 1 + 2 * len(METHODS)


def test_one_number_of_picks_is_not_repeated_in_every_name(tmp_path: Path) -> None:
    language_report(rows(picks=(10,)), {}, tmp_path / "r.html")
    measured = next(t for t in Tables((tmp_path / "r.html").read_text()).tables if t[0][0] == "method")
    assert [line[0] for line in measured[1:]] == ["base", *METHODS]


@pytest.mark.parametrize("domain", ["only", "<b>$bold$</b>"])
def test_one_domain_needs_no_table_by_domain(tmp_path: Path, domain: str) -> None:
    language_report(rows(domains=(domain,)), {"domain": domain}, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert not [heading for heading in Tables(page).headings if heading.startswith("By domain")]
    assert "<b>" not in page


def test_the_base_alone_can_be_reported(tmp_path: Path) -> None:
    language_report([row for row in rows() if row.method == "base"], {}, tmp_path / "r.html", unions=UNIONS)
    assert "Only the base model was measured." in (tmp_path / "r.html").read_text()

# SPDX-License-Identifier: GPL-2.0-only
"""Errors of a file: their order, their text, and their way between processes."""

from __future__ import annotations

import pickle

from lab.config.problems import FileErrors, Problem


def test_problems_come_in_the_order_of_lines_and_once() -> None:
    twice = Problem("f.yaml", 10, 1, "b")
    error = FileErrors([twice, Problem("f.yaml", 9, 3, "a"), twice], hint="do this")
    assert error.message == "f.yaml:9:3: a\nf.yaml:10:1: b"
    assert str(error) == f"{error.message}\nhint: do this"


def test_errors_travel_between_processes() -> None:
    error = FileErrors([Problem("f.yaml", 2, 1, "b"), Problem("f.yaml", 1, 3, "a")])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "f.yaml:1:3: a\nf.yaml:2:1: b"
    assert again.problems == error.problems

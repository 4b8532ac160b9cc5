# SPDX-License-Identifier: GPL-2.0-only
"""Make text from a guest harmless for terminals and files, and bound its length."""

from __future__ import annotations

from itertools import chain

# Control characters except tab and newline, C1 controls among them; bidirectional marks;
# separators that some terminals take for the end of a line; and lone surrogates, which no
# file in UTF-8 can hold.
_STEERING = chain(
    range(0x09),
    range(0x0B, 0x20),
    range(0x7F, 0xA0),
    (0x061C, 0x200E, 0x200F),
    range(0x2028, 0x202F),
    range(0x2066, 0x206A),
    range(0xD800, 0xE000),
)
_ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _STEERING}


def plain(text: str) -> str:
    r"""Return `text` with all characters that control a terminal as escapes: `\x1b`, `\u202e`."""
    return text.translate(_ESCAPES)


def bounded(text: str, most: int) -> str:
    """Return `text`, or its first and last characters with a line for those left out.

    The result has about `most` characters.
    """
    if len(text) <= most:
        return text
    half = most // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[... {left_out} characters left out ...]\n{text[-half:]}"

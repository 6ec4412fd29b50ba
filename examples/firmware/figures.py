"""The recorded figures: tables of whole numbers in FIGURES.md, of which less is better, by the compiler's version."""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
FILE = HERE / "FIGURES.md"
TARGETS = ["thumbv7em-none-eabihf", "thumbv7m-none-eabi", "thumbv6m-none-eabi", "riscv32imac-unknown-none-elf"]
GROWTH = 1.03


def crate():
    """The checkout that is measured."""
    return Path(os.environ.get("SANSOCKET", CHECKOUT)).resolve()


def compiler():
    """The compiler's path and its version."""
    path = subprocess.check_output([CHECKOUT / ".ci/bare-metal-rustc", *TARGETS], text=True).strip()
    return path, subprocess.check_output([path, "--version"], text=True).split()[1]


def build(rustc, target, package, level="z", arguments=(), flags=()):
    """Builds a package's programs; where they lie."""
    # The features that a stable compiler hides: building core, and noting how much stack a function takes.
    environment = dict(os.environ, RUSTC=rustc, RUSTC_BOOTSTRAP="1", CARGO_PROFILE_RELEASE_OPT_LEVEL=level)
    if flags:
        environment["RUSTFLAGS"] = " ".join(flags)
    directory = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")) / "figures"
    command = ["cargo", "build", "--quiet", "--release", "--package", package]
    command += ["--target", target, "--target-dir", directory, *arguments]
    if crate() != CHECKOUT:
        command += ["--config", f'paths=["{crate()}"]']
    subprocess.run(command, cwd=HERE, env=environment, check=True)
    return directory / target / "release"


def text(title, rows):
    """A table as FIGURES.md has it. `rows`: name to column to number."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = (f"{row[column]:,}" if column in row else "" for column in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return f"## {title}\n\n" + "\n".join(lines) + "\n"


def parse(section):
    """The rows of a table."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    columns = lines[0][1:] if lines else []
    return {
        name: {column: int(cell.replace(",", "")) for column, cell in zip(columns, cells) if cell}
        for name, *cells in lines[2:]
    }


def settle(name, version, rows, record):
    """Prints a table beside the recorded one; records it, or ends the program where a figure has grown too much."""
    title = f"{name}, rustc {version}"
    head, *sections = re.split(r"^## ", FILE.read_text(), flags=re.M)
    recorded = {section.splitlines()[0]: section for section in sections}
    print(text(title, rows))
    if record:
        recorded[title] = text(title, rows)[3:] + "\n"
        FILE.write_text(head + "".join("## " + recorded[key].rstrip() + "\n\n" for key in sorted(recorded)).rstrip() + "\n")
        return
    if title not in recorded:
        print(f"nothing is recorded for this compiler: no comparison\n")
        return
    before = parse(recorded[title])
    grown = [
        f"{row}, {column}: {before[row][column]:,} to {number:,}"
        for row, columns in rows.items()
        for column, number in columns.items()
        if column in before.get(row, {}) and number > before[row][column] * GROWTH
    ]
    missing = [row for row in before if row not in rows]
    if grown or missing:
        sys.exit("\n".join([f"more than {GROWTH - 1:.0%} over the recorded figures:", *grown, *missing]))
    print(f"none is more than {GROWTH - 1:.0%} over the recorded figure\n")

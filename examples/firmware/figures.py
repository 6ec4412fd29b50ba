"""Builds the programs, and compares figures with FIGURES.md. The figures are integers, and smaller is better."""

import functools
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
    """The checkout of the crate to measure."""
    return Path(os.environ.get("SANSOCKET", CHECKOUT)).resolve()


@functools.cache
def prepare():
    """Installs the targets, and the source of the standard library."""
    subprocess.run(["rustup", "--quiet", "target", "add", *TARGETS], check=True)
    subprocess.run(["rustup", "--quiet", "component", "add", "rust-src"], check=True)


def build(target, package, level="z", arguments=(), flags=()):
    """Builds the programs of a package. Returns their directory."""
    prepare()
    # Enables unstable options on a stable compiler: -Zbuild-std and -Zemit-stack-sizes.
    environment = dict(os.environ, RUSTC_BOOTSTRAP="1", CARGO_PROFILE_RELEASE_OPT_LEVEL=level)
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
    """Formats a table for FIGURES.md. `rows` maps names to columns to numbers."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = (f"{row[column]:,}" if column in row else "" for column in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return f"## {title}\n\n" + "\n".join(lines) + "\n"


def parse(section):
    """Parses the rows of a table."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    columns = lines[0][1:] if lines else []
    return {
        name: {column: int(cell.replace(",", "")) for column, cell in zip(columns, cells) if cell}
        for name, *cells in lines[2:]
    }


def settle(name, rows, record):
    """Prints a table. Then records it, or exits with an error if a figure has grown too much."""
    version = subprocess.check_output(["rustc", "--version"], text=True).split()[1]
    title = f"{name}, rustc {version}"
    head, *sections = re.split(r"^## ", FILE.read_text(), flags=re.M)
    recorded = {section.splitlines()[0]: section for section in sections}
    print(text(title, rows))
    if record:
        recorded = {key: section for key, section in recorded.items() if not key.startswith(f"{name}, rustc ")}
        recorded[title] = text(title, rows)[3:] + "\n"
        FILE.write_text(head + "".join("## " + recorded[key].rstrip() + "\n\n" for key in sorted(recorded)).rstrip() + "\n")
        return
    if title not in recorded:
        print("no comparison: FIGURES.md has no table for this compiler\n")
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
        sys.exit("\n".join([f"more than {GROWTH - 1:.0%} over the recorded figures, or missing:", *grown, *missing]))
    print(f"no figure is more than {GROWTH - 1:.0%} over the recorded one\n")

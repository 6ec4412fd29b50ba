"""Runs programs in QEMU."""

import subprocess

MACHINES = {
    "thumbv7em-none-eabihf": ["qemu-system-arm", "-machine", "mps2-an386"],
    "thumbv7m-none-eabi": ["qemu-system-arm", "-machine", "mps2-an385"],
    "thumbv6m-none-eabi": ["qemu-system-arm", "-machine", "mps2-an385"],
    "riscv32imac-unknown-none-elf": ["qemu-system-riscv32", "-machine", "virt", "-bios", "none"],
}
# No console: the program prints and exits through semihosting.
CONSOLE = ["-nographic", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native"]


def command(target, program, *options):
    return [*MACHINES[target], *CONSOLE, *options, "-kernel", program]


def run(target, program, *options):
    """Runs a program until it exits, and returns its output. The exit code must be 0."""
    emulator = subprocess.run(command(target, program, *options), capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
    if emulator.returncode != 0:
        raise SystemExit(f"{program} on {target}: {emulator.returncode}\n{emulator.stdout}\n{emulator.stderr}")
    return emulator.stdout


def network(port=None):
    """Options for Ethernet. With `port`, only this host port is forwarded to the device; otherwise it can reach the host."""
    forward = f",restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:80" if port else ""
    return ["-nic", f"user,model=lan9118{forward}"]


def arguments(*words):
    """Options for the program's arguments."""
    return ["-semihosting-config", "enable=on,target=native," + ",".join(f"arg={word}" for word in words)]

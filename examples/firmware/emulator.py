"""Starts a program in an emulator."""

import subprocess

MACHINES = {
    "thumbv7em-none-eabihf": ["qemu-system-arm", "-machine", "mps2-an386"],
    "thumbv7m-none-eabi": ["qemu-system-arm", "-machine", "mps2-an385"],
    "thumbv6m-none-eabi": ["qemu-system-arm", "-machine", "mps2-an385"],
    "riscv32imac-unknown-none-elf": ["qemu-system-riscv32", "-machine", "virt", "-bios", "none"],
}
# Its only way to the outside is what it prints, and its exit code.
CONSOLE = ["-nographic", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native"]


def command(target, program, *options):
    return [*MACHINES[target], *CONSOLE, *options, "-kernel", program]


def run(target, program, *options):
    """What a program prints, which ends by itself; it must end well."""
    emulator = subprocess.run(command(target, program, *options), capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
    if emulator.returncode != 0:
        raise SystemExit(f"{program} on {target}: {emulator.returncode}\n{emulator.stdout}\n{emulator.stderr}")
    return emulator.stdout


def network(port=None):
    """The board's Ethernet, with a port of the host's forwarded to the device, or with the host in reach of it."""
    forward = f",restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:80" if port else ""
    return ["-nic", f"user,model=lan9118{forward}"]


def arguments(*words):
    """What the program is told when it starts."""
    return ["-semihosting-config", "enable=on,target=native," + ",".join(f"arg={word}" for word in words)]

"""What scripts/bench is told; as a program it only says what is wrong with that."""

import argparse
import sys

ROUNDS, IDLE = 5, 60


def scenarios(text):
    """Letters of scenarios, at least one."""
    if not text or set(text) - set("abcdef"):
        raise argparse.ArgumentTypeError(f"{text!r} is not some of the letters a to f")
    return text


def positive(text):
    """A number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def parse(arguments):
    """Rounds, scenarios, seconds, and whether the results go into the docs: they do when nothing was chosen."""
    parser = argparse.ArgumentParser(
        "scripts/bench",
        description="Agent, User Data script and floor in turn, and what the agent costs. Without options the results go into docs/performance.md and "
        "docs/performance.svg, which takes about 20 minutes; with any of them on the terminal only, and without what is measured with large images and tarballs. "
        "Setting up comes first and takes up to 8 minutes where nothing is there. Scenarios: a all there, b the database comes up late, c image built from the "
        "tarball, d the registry fails two pulls, e rerun on a converged machine, f redeploy of a new tag.",
        allow_abbrev=False,
    )
    parser.add_argument("--quick", action="store_true", help="one round of what was chosen, and an idle agent watched for 10 s")
    parser.add_argument("--rounds", type=positive, metavar="N", help=f"{ROUNDS} if not said")
    parser.add_argument("--only", type=scenarios, default="abcdef", metavar="LETTERS", help="scenarios, by letter; a, e and f are played together, since each follows on the one before")
    parser.add_argument("--idle", type=positive, metavar="SECONDS", help=f"over which an idle agent is watched, {IDLE} if not said")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else ROUNDS)
    options.idle = options.idle or (10 if options.quick else IDLE)
    options.page = not arguments
    return options


if __name__ == "__main__":
    parse(sys.argv[1:])

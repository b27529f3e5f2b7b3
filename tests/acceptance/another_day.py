"""The real program on another day: $AT is the instant at which it starts; from there its clock goes on.

    python -m tests.acceptance.another_day run --config CONFIG

SIGUSR1 moves its clock on to $THEN.
"""

import os
import signal

import time_machine

from aggregator.cli import main

if __name__ == "__main__":
    with time_machine.travel(os.environ["AT"], tick=True) as clock:
        signal.signal(signal.SIGUSR1, lambda *_: clock.move_to(os.environ["THEN"]))
        main()

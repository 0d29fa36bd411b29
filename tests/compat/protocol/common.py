"""What the sets of protocol checks share."""
import os
import time

from harness.client import NONE, Client
from harness.report import equal


class Checks:
    """A set of checks with a connection and a topic of its own."""
    prefix = ""
    partitions = 1

    def __init__(self, broker):
        self.broker = broker
        self.client = Client(broker.bootstrap)
        self.topic = self.fresh_name()
        equal(self.client.create_topic(self.topic, self.partitions).error, NONE, "error of CreateTopics")

    def fresh_name(self):
        return f"{self.prefix}-{os.getpid()}-{time.monotonic_ns()}"

    def fresh_topic(self, partitions=1, **configs):
        name = self.fresh_name()
        equal(self.client.create_topic(name, partitions, configs).error, NONE, "error of CreateTopics")
        return name

    def restart(self, unclean):
        """Restarts the broker and the connection; skips the check if the broker is not ours to stop."""
        self.broker.restart(unclean)
        self.client.close()
        self.client = Client(self.broker.bootstrap)
        self.client.wait_for_topic(self.topic, self.partitions)

    @classmethod
    def run(cls, broker, report):
        made = []
        if report.run(f"{cls.prefix}/prepare", lambda: made.append(cls(broker))):
            for name, member in list(vars(cls).items()):
                if getattr(member, "is_check", False):
                    report.run(f"{cls.prefix}/{name.replace('_', '-')}", getattr(made[0], name))
            made[0].client.close()


def case(function):
    """Marks a method as a check; they run in the order of the file."""
    function.is_check = True
    return function

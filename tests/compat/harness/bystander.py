"""A good client that works beside a check, to see that what others do does not hold it up."""
import threading
import time

from .client import NONE, Client
from .report import check, equal

SLOWEST_ANSWER = 2.0  # seconds that a good client may wait


class Bystander:
    """A good client that produces and fetches all the while, on a connection of its own."""

    def __init__(self, broker, topic):
        self.broker, self.topic = broker, topic
        self.ended, self.error, self.rounds, self.slowest = False, None, 0, 0.0
        self.thread = threading.Thread(target=self.work)

    def work(self):
        try:
            with Client(self.broker.bootstrap) as client:
                while not self.ended:
                    began = time.monotonic()
                    answer = client.produce_values(self.topic, 0, b"bystander")
                    equal(answer.error, NONE, "error of the good client's Produce")
                    batch = client.fetch_one(self.topic, 0, answer.base_offset).batches[0]
                    equal(batch.values(), [b"bystander"], "what the good client read")
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    self.rounds += 1
                    time.sleep(0.005)
        except Exception as error:  # reported by the check that it accompanies
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join(60)

    def verdict(self):
        check(self.error is None, f"the good client: {type(self.error).__name__}: {self.error}")
        check(self.rounds > 0, "the good client did nothing")
        check(self.slowest <= SLOWEST_ANSWER, f"the good client waited {self.slowest:.2f} s")
        return f"a good client meanwhile: {self.rounds} rounds, slowest {self.slowest * 1000:.0f} ms"

"""Leader epochs: who believes in another one than the broker is fenced, in both directions."""
from harness.client import FENCED_LEADER_EPOCH, NONE, OFFSET_OUT_OF_RANGE, UNKNOWN_LEADER_EPOCH
from harness.report import Skip, check, equal
from harness.wire import Reader

from .common import Checks, case


class Epochs(Checks):
    prefix = "epochs"

    def __init__(self, broker):
        super().__init__(broker)
        equal(self.client.produce_values(self.topic, 0, b"a", b"b").error, NONE, "error of Produce")

    def current(self):
        return self.client.metadata([self.topic]).topics[0].partitions[0].leader_epoch

    def errors(self, epoch):
        """The errors of Fetch, ListOffsets and OffsetForLeaderEpoch for who believes in `epoch`."""
        return (self.client.fetch_one(self.topic, 0, 0, max_wait=0, epoch=epoch).error,
                self.client.list_offset(self.topic, 0, epoch=epoch).error,
                self.client.offset_for_epoch(self.topic, 0, 0, current=epoch).error)

    @case
    def batches_carry_it(self):
        epoch = self.current()
        check(epoch >= 0, f"leader epoch {epoch} in Metadata")
        equal(self.client.fetch_one(self.topic, 0, 0).batches[0].leader_epoch, epoch, "leader epoch in the batch")
        equal(self.client.list_offset(self.topic, 0).leader_epoch, epoch, "leader epoch in ListOffsets")

    @case
    def current_and_unchecked_pass(self):
        for epoch in (-1, self.current()):
            equal(self.errors(epoch), (NONE,) * 3, f"errors with epoch {epoch}")

    @case
    def newer_is_unknown(self):
        equal(self.errors(self.current() + 1), (UNKNOWN_LEADER_EPOCH,) * 3, "errors with a newer epoch")

    @case
    def older_is_fenced(self):
        self.restart(unclean=False)
        epoch = self.current()
        if epoch == 0:
            raise Skip("the leader epoch is 0 also after a restart, so there is no older one")
        equal(self.errors(epoch - 1), (FENCED_LEADER_EPOCH,) * 3, "errors with an older epoch")
        equal(self.errors(epoch), (NONE,) * 3, "errors with the current epoch")
        equal(self.client.produce_values(self.topic, 0, b"c").error, NONE, "error of Produce")
        equal([b.leader_epoch for b in self.client.read_log(self.topic, 0)], [0, epoch], "leader epochs of the batches")

    @case
    def end_offset_of_an_epoch(self):
        end, epoch = self.client.list_offset(self.topic, 0).offset, self.current()
        answer = self.client.offset_for_epoch(self.topic, 0, epoch)
        equal((answer.error, answer.leader_epoch, answer.end_offset), (NONE, epoch, end), "the current epoch's end")
        answer = self.client.offset_for_epoch(self.topic, 0, epoch + 7)
        equal((answer.error, answer.leader_epoch, answer.end_offset), (NONE, -1, -1), "a future epoch's end")
        if epoch > 0:
            answer = self.client.offset_for_epoch(self.topic, 0, 0)
            equal((answer.error, answer.leader_epoch, answer.end_offset), (NONE, 0, 2), "the first epoch's end")

    @case
    def divergence(self):
        """A fetch that names the epoch of its last record learns where its log parts from the leader's."""
        end, epoch = self.client.list_offset(self.topic, 0).offset, self.current()
        answer = self.client.fetch_one(self.topic, 0, end, max_wait=0, fetched_epoch=epoch)
        equal((answer.error, answer.tags), (NONE, {}), "error, tags where the logs agree")
        answer = self.client.fetch_one(self.topic, 0, end + 10, max_wait=0, fetched_epoch=epoch)
        check(answer.error == NONE and 0 in answer.tags, f"error {answer.error}, tags {answer.tags} where the reader is ahead of the leader")
        diverging = Reader(answer.tags[0], flexible=True)
        equal((diverging.int32(), diverging.int64()), (epoch, end), "diverging epoch and end offset")
        equal(answer.records, b"", "records")
        answer = self.client.fetch_one(self.topic, 0, end, max_wait=0, fetched_epoch=epoch + 1)
        equal(answer.error, OFFSET_OUT_OF_RANGE, "error where the epoch of the reader's last record is unknown")

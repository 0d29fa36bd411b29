"""Kafka's command line tools, run one after another in one JVM (`java/ToolShell.java`): a start of the JVM costs more than most of them."""
import subprocess
import threading
from dataclasses import dataclass

from . import install
from .report import Failed, check


@dataclass
class Done:
    status: int
    out: str
    errors: str


class Shell:
    def __init__(self):
        self.process = subprocess.Popen(install.java_command("ToolShell"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def run(self, tool, *arguments, limit=90):
        """Runs a tool, named by its class. It ends the JVM if the tool takes longer than `limit` seconds."""
        words = [tool, *map(str, arguments)]
        check(not any("\t" in word or "\n" in word for word in words), f"not in one line: {words}")
        late = threading.Timer(limit, self.process.kill)
        late.start()
        try:
            self.process.stdin.write(("\t".join(words) + "\n").encode())
            self.process.stdin.flush()
            head = self.process.stdout.readline().split()
            if len(head) != 3:
                raise Failed(f"{tool} did not end in {limit} s")
            status, *sizes = map(int, head)
            out, errors = (self.process.stdout.read(size).decode() for size in sizes)
        except BrokenPipeError:
            raise Failed(f"the JVM for {tool} has ended") from None
        finally:
            late.cancel()
        return Done(status, out, errors)

    def close(self):
        self.process.kill()
        self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

"""Gets the clients: Debian packages by apt, Python ones in a venv, Kafka's jars by Maven; all in one cache.

The cache is ${XDG_CACHE_HOME:-~/.cache}/duramen-tests. Each piece is fetched once and kept until its list changes.
"""
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "duramen-tests"
PYTHON_PACKAGES = [
    "confluent-kafka==2.16.1",
    "kafka-python==3.0.12",
    "aiokafka==0.14.0",
    # codecs that kafka-python and aiokafka take from outside
    "python-snappy==0.7.3",
    "lz4==4.4.5",
    "zstandard==0.25.0",
    "cramjam==2.14.0",
]
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def say(text):
    print(f"# {text}", flush=True)


def packages(*wanted):
    """Installs Debian packages whose command is not on the PATH. wanted: (command, package) pairs."""
    missing = [package for command, package in wanted if not shutil.which(command)]
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    become = [] if os.geteuid() == 0 else ["sudo", "-n"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]):
        done = subprocess.run(become + command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed; install {' '.join(missing)} by hand:\n{done.stderr}")


@functools.cache
def kcat():
    packages(("kcat", "kcat"))
    return shutil.which("kcat")


def _complete(folder, digest):
    mark = folder / ".complete"
    return mark.is_file() and mark.read_text() == digest


@functools.cache
def python():
    """The interpreter of a venv that has the Python clients."""
    digest = hashlib.sha256("\n".join([sys.version, *PYTHON_PACKAGES]).encode()).hexdigest()
    venv = CACHE / "venv"
    interpreter = venv / "bin" / "python"
    if not _complete(venv, digest):
        say("making a venv with the Python clients")
        shutil.rmtree(venv, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", venv], capture_output=True, text=True)
        if made.returncode:
            packages(("python3-venv-is-missing", "python3-venv"))
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PYTHON_PACKAGES], check=True)
        (venv / ".complete").write_text(digest)
    return interpreter


@functools.cache
def jars():
    """The folder with Apache Kafka's jars and everything that they run on."""
    pom = HERE / "java" / "pom.xml"
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()
    libs = CACHE / "kafka-libs"
    if not _complete(libs, digest):
        packages(("javac", "openjdk-17-jdk-headless"), ("mvn", "maven"))
        say("fetching Apache Kafka's jars from Maven Central")
        fresh = CACHE / f"kafka-libs.{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        subprocess.run(["mvn", "-q", "-B", "-f", pom, COPY_DEPENDENCIES, "-DincludeScope=runtime", f"-DoutputDirectory={fresh}"], check=True)
        (fresh / ".complete").write_text(digest)
        shutil.rmtree(libs, ignore_errors=True)
        fresh.rename(libs)
    return libs


@functools.cache
def java_classes():
    """The folder with the compiled classes of tests/compat/java."""
    sources = sorted((HERE / "java").glob("*.java"))
    libs = jars()
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources) + (libs / ".complete").read_bytes()).hexdigest()
    # A folder for each version: another run may use its own at this moment.
    classes = CACHE / f"java-classes-{digest[:16]}"
    if not _complete(classes, digest):
        packages(("javac", "openjdk-17-jdk-headless"))
        shutil.rmtree(classes, ignore_errors=True)
        classes.mkdir(parents=True)
        subprocess.run(["javac", "-cp", f"{libs}/*", "-d", classes, *sources], check=True)
        (classes / ".complete").write_text(digest)
    return classes


def java_command(main, *arguments, heap="512M"):
    """A command line that runs a class of Kafka's (or of ours) with the flags that start a JVM quickest."""
    return [
        "java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={HERE / 'java' / 'log4j2.xml'}",
        "-cp", f"{java_classes()}:{jars()}/*", main, *map(str, arguments),
    ]


@functools.cache
def broker_binary():
    """Builds our broker and returns its path; BROKER_BINARY names one that is built already."""
    if given := os.environ.get("BROKER_BINARY"):
        return Path(given).resolve()
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "duramen"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    return (ROOT / target / "release" / "duramen").resolve()

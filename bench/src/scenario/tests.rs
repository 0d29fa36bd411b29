use super::*;

const GOOD: &str = r#"
about = "x"
[topic]
partitions = 12
[records]
value_bytes = 1024
batch_bytes = 16384
[produce]
acks = "all"
connections = 4
depth = 5
"#;

#[test]
fn a_file_becomes_a_scenario() {
    let scenario = Scenario::parse("a", GOOD).unwrap();
    assert_eq!(scenario.name, "a");
    assert_eq!(scenario.records.per_batch(), 15);
    assert_eq!(scenario.records.value_bytes_per_batch(), 15 * 1024);
    assert_eq!(scenario.against, [Contestant::Kafka]);
    assert!(scenario.run.busy);
}

#[test]
fn batches_are_as_long_as_asked() {
    let cases = [(100, 16384, 148), (1024, 131_072, 126), (1024, 1100, 1), (10, 10, 1)];
    for (value_bytes, batch_bytes, expected) in cases {
        let records = Records {
            value_bytes,
            keys: 0,
            compressibility: 0.0,
            batch_bytes: Some(batch_bytes),
            batch_records: None,
            codec: Codec::None,
        };
        assert_eq!(records.per_batch(), expected, "{value_bytes} {batch_bytes}");
    }
}

/// Replaces a piece of the good file, and says what is told of it.
#[test]
fn what_cannot_be_is_told_in_a_line() {
    let cases = [
        (
            "partitions = 12",
            "partitions = 12\nreplicas = 3",
            "line 5: unknown field `replicas`",
        ),
        ("partitions = 12", "partitions = 0", "topic.partitions is 0"),
        ("partitions = 12", "partitions = \"x\"", "line 4: invalid type"),
        ("partitions = 12", "partitions = ", "line 4: "),
        ("about = \"x\"", "about = \"x\"\nname = \"b\"", "is called as its file"),
        ("about = \"x\"", "", "missing field `about`"),
        ("about = \"x\"", "about = \" \"", "about is empty"),
        (
            "about = \"x\"",
            "about = \"x\"\nagainst = [\"duramen\"]",
            "against names who",
        ),
        (
            "about = \"x\"",
            "about = \"x\"\nagainst = [\"pulsar\"]",
            "unknown variant `pulsar`",
        ),
        ("depth = 5", "depth = 0", "produce.depth is 0"),
        ("depth = 5", "depth = 5\nrate = 0.0", "produce.rate is 0"),
        (
            "depth = 5",
            "depth = 6\nidempotent = true",
            "5 requests in flight at most",
        ),
        (
            "acks = \"all\"",
            "acks = \"1\"\nidempotent = true",
            "needs acks = \"all\"",
        ),
        ("acks = \"all\"", "acks = \"2\"", "unknown variant `2`"),
        ("connections = 4", "connections = 0", "produce.connections is 0"),
        (
            "batch_bytes = 16384",
            "batch_bytes = 1000",
            "no record of 1024 bytes fits",
        ),
        ("batch_bytes = 16384", "batch_bytes = 20000000", "is too long"),
        ("batch_bytes = 16384", "batch_records = 0", "batch_records is 0"),
        (
            "batch_bytes = 16384",
            "batch_bytes = 16384\nbatch_records = 2",
            "keep one",
        ),
        ("batch_bytes = 16384", "compressibility = 1.5", "it is a share"),
        ("batch_bytes = 16384", "codec = \"brotli\"", "unknown variant `brotli`"),
        ("[topic]", "[run]\nseconds = 0.0\n[topic]", "run.seconds is 0"),
        ("[topic]", "[run]\nseconds = nan\n[topic]", "run.seconds is NaN"),
        ("[topic]", "[backlog]\nmib = 0\n[topic]", "backlog.mib is 0"),
        (
            "[topic]",
            "[[consume]]\nname = \"a\"\nfrom = \"start\"\nconnections = 1\n[topic]",
            "there is no [backlog]",
        ),
        (
            "[topic]",
            "[backlog]\nmib = 1\n[[consume]]\nname = \"a\"\nfrom = \"start\"\nconnections = 1\n[topic]",
            "set run.warmup_seconds = 0.0",
        ),
        (
            "partitions = 12",
            "partitions = 12\nsettings = { \"cleanup.policy\" = \"compact\" }",
            "lets records go",
        ),
        ("[topic]", "[end_to_end]\nacks = \"all\"\n[topic]", "is measured alone"),
        (
            "[topic]",
            "[[goal]]\nmetric = \"p99_us\"\nagainst = \"kafka\"\n[topic]",
            "either at_least or at_most",
        ),
        (
            "[topic]",
            "[[goal]]\nmetric = \"p99_us\"\nagainst = \"kafka-flush\"\nat_most = 1\n[topic]",
            "not named in against",
        ),
    ];
    for (from, to, expected) in cases {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replace(from, to);
        let error = Scenario::parse("a", &text).expect_err(to).to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn parts_must_have_work() {
    let without = GOOD.split("[produce]").next().unwrap();
    let cases = [
        ("", "nothing would be measured"),
        (
            "[[consume]]\nname = \"a\"\nfrom = \"end\"\nconnections = 1",
            "nothing would come",
        ),
        ("[end_to_end]\nacks = \"0\"", "acknowledgement"),
        ("[end_to_end]\nacks = \"all\"", "one record at a time"),
    ];
    for (part, expected) in cases {
        let error = Scenario::parse("a", &format!("{without}{part}"))
            .expect_err(part)
            .to_string();
        assert!(error.contains(expected), "{part}: {error}");
    }
}

#[test]
fn what_keeps_nothing_can_only_be_written_to() {
    let consume = "[[consume]]\nname = \"a\"\nfrom = \"end\"\nconnections = 1\n";
    let cases = [(GOOD.to_owned(), true), (format!("{GOOD}{consume}"), false)];
    for (text, suits) in cases {
        let scenario = Scenario::parse("a", &text).unwrap();
        assert!(scenario.suits(Contestant::Duramen) && scenario.suits(Contestant::KafkaFlush));
        assert_eq!(scenario.suits(Contestant::Bare), suits, "{text}");
        assert_eq!(scenario.suits(Contestant::Sink), suits, "{text}");
    }
}

#[test]
fn every_scenario_of_the_project_stands() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        Scenario::load(&entry.unwrap().path()).unwrap();
        found += 1;
    }
    assert!(found > 10, "{found}");
}

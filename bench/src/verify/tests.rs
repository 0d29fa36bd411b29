use super::*;
use crate::cpus::{Cpus, Placement};
use crate::scenario::{Contestant, Scenario};
use crate::sink::{Keep, Sink};
use crate::target::Target;
use crate::workload::{Plan, run};

/// Loads a broker that keeps batches in its own way, for a moment; what the run says in the end.
fn run_against(keep: Keep, scenario: &str) -> Result<u64> {
    let sink = Sink::keeping(keep);
    let target = Target::of_test(sink.address());
    let scenario = Scenario::parse("test", scenario).unwrap();
    let cpu = Cpus::allowed().unwrap().0[0].to_string();
    let done = run(&Plan {
        scenario: &scenario,
        contestant: Contestant::Target,
        target: &target,
        placement: &Placement::new(Some(&cpu), Some(&cpu)).unwrap(),
        round: 0,
        progress: &|_, _| {},
    })?;
    Ok(done.verified_records.unwrap())
}

const SCENARIO: &str = r#"
about = "a moment"
[run]
seconds = 0.5
warmup_seconds = 0.05
busy = false
[topic]
partitions = 3
[records]
value_bytes = 100
batch_records = 4
codec = "lz4"
compressibility = 0.5
[produce]
acks = "all"
connections = 2
depth = 3
rate = 1000
"#;

#[test]
fn what_is_kept_is_found() {
    let idempotent = SCENARIO.replace("depth = 3", "depth = 3\nidempotent = true");
    let unanswered = SCENARIO.replace("acks = \"all\"", "acks = \"0\"");
    let closed = SCENARIO.replace("rate = 1000", "");
    let plain = SCENARIO.replace("lz4", "none");
    for scenario in [SCENARIO, &idempotent, &unanswered, &closed, &plain] {
        let records = run_against(|_, batch| vec![batch], scenario).unwrap();
        assert!(records >= 4 * 50, "{records}: {scenario}");
    }
}

#[test]
fn every_fault_fails_the_run() {
    fn changed(number: u64, batch: Bytes, at: usize) -> Vec<Bytes> {
        let mut bytes = Vec::from(batch);
        if number == 20 {
            bytes[at] ^= 1;
        }
        vec![bytes.into()]
    }
    let cases: &[(&str, Keep, &str)] = &[
        (
            "one is lost",
            |number, batch| if number == 20 { vec![] } else { vec![batch] },
            "lost: batch",
        ),
        (
            "all from one on are lost",
            |number, batch| if number >= 20 { vec![] } else { vec![batch] },
            "lost: partition",
        ),
        (
            "one is there twice",
            |number, batch| {
                if number == 20 {
                    vec![batch.clone(), batch]
                } else {
                    vec![batch]
                }
            },
            "repeated: batch",
        ),
        (
            "a byte of a record is changed",
            |number, batch| changed(number, batch, 80),
            "corrupt: ",
        ),
        (
            "a byte of the header is changed",
            |number, batch| changed(number, batch, 50),
            "corrupt: ",
        ),
        (
            "another batch is there",
            |number, batch| {
                if number == 20 {
                    vec![stranger(), batch]
                } else {
                    vec![batch]
                }
            },
            "nobody has sent",
        ),
    ];
    for (what, keep, expected) in cases {
        let error = run_against(*keep, SCENARIO).expect_err(what).to_string();
        assert!(error.contains(expected), "{what}: {error}");
    }
}

/// Records that are valid, and not those that were sent.
#[test]
fn records_that_were_exchanged_are_seen() {
    let error = run_against(
        |number, batch| {
            if number != 20 {
                return vec![batch];
            }
            let mut header = *BatchView::parse_only(&batch).unwrap().header();
            let other = stranger();
            header.attributes = header.attributes.with_compression(duramen::record::Compression::None);
            let mut bytes = header.seal(&other[61..]).unwrap().to_vec();
            bytes.extend_from_slice(&other[61..]);
            vec![bytes.into()]
        },
        SCENARIO,
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("changed: "), "{error}");
}

fn stranger() -> Bytes {
    use duramen::base::time::TimestampMs;
    use duramen::record::{BatchBuilder, Record};
    let mut builder = BatchBuilder::new();
    for _ in 0..4 {
        builder
            .append(&Record::new(TimestampMs(7), None, Some(b"stranger")))
            .unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn a_broker_that_dies_fails_the_run() {
    let error = run_against(
        |number, batch| {
            assert!(number < 20, "the connection ends here");
            vec![batch]
        },
        SCENARIO,
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the broker closed the connection"), "{error}");
}

#[test]
fn nobody_there_is_told() {
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = Control::connect(address).err().unwrap().to_string();
    assert!(
        error.contains(&format!("the broker at {address} does not answer")),
        "{error}"
    );
}

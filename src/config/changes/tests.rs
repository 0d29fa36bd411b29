use super::*;
use crate::config::{Config, Inputs};

fn map(given: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
    given.iter().map(own).collect()
}

fn config() -> Config {
    let sets = ["log.segment.bytes=3000000", "log.roll.hours=24"].map(str::to_owned);
    Config::load(&Inputs {
        sets: &sets,
        ..Inputs::default()
    })
    .expect("valid")
}

/// (key, value)
type Given = &'static [(&'static str, &'static str)];

/// The texts were read from Apache Kafka 4.3.1, but for keys that it changes while it runs and this broker does not.
#[test]
fn what_may_be_set() {
    const EACH: [Layer; 2] = [Layer::ThisBroker, Layer::EveryBroker];
    const ONE: [Layer; 1] = [Layer::ThisBroker];
    const EVERY: [Layer; 1] = [Layer::EveryBroker];
    let at_start = "Cannot update these configs dynamically";
    let per_listener = "These security configs can be dynamically updated only per-listener using the listener prefix";
    let per_broker = "Cannot update these configs at default cluster level, broker id must be specified";
    let invalid = "Invalid value";
    let cases: &[(&[Layer], Given, String)] = &[
        (&EACH, &[("log.retention.ms", "-5"), ("no.such", "1")], String::new()),
        (&EACH, &[("log.cleanup.policy", "")], String::new()),
        (&EACH, &[("num.io.threads", "9")], String::new()),
        (&EACH, &[("leader.replication.throttled.rate", "100")], String::new()),
        (&ONE, &[("sasl.kerberos.min.time.before.relogin", "58000")], String::new()),
        (&ONE, &[("listener.name.plaintext.ssl.keystore.location", "/x")], String::new()),
        (&EACH, &[("num.partitions", "3"), ("node.id", "4")], format!("{at_start}: [node.id, num.partitions]")),
        (&EACH, &[("max.connections", "4")], format!("{at_start}: [max.connections]")),
        (&EACH, &[("listener.name.a.max.connections", "4")], format!("{at_start}: [listener.name.a.max.connections]")),
        (&EACH, &[("ssl.key.password", "x")], format!("{per_listener}: [ssl.key.password]")),
        (&EVERY, &[("sasl.jaas.config", "x")], format!("{per_broker}: [sasl.jaas.config]")),
        (
            &EVERY,
            &[("listener.name.a.ssl.protocol", "x")],
            format!("{per_broker}: [listener.name.a.ssl.protocol]"),
        ),
        (
            &EACH,
            &[("log.retention.ms", "abc")],
            format!("{invalid} abc for configuration log.retention.ms: Not a number of type LONG"),
        ),
        (
            &EACH,
            &[("log.retention.ms", "0")],
            "requirement failed: log.retention.ms must be unlimited (-1) or, greater than or equal to 1".to_owned(),
        ),
        (
            &EACH,
            &[("log.segment.bytes", "1")],
            format!("{invalid} 1 for configuration log.segment.bytes: Value must be at least 1048576"),
        ),
        (
            &EACH,
            &[("log.cleanup.policy", "delete,bogus")],
            format!("{invalid} bogus for configuration log.cleanup.policy: String must be one of: compact, delete"),
        ),
        (
            &EACH,
            &[("compression.gzip.level", "0")],
            format!("{invalid} 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"),
        ),
        (
            &EACH,
            &[("compression.zstd.level", "99")],
            format!("{invalid} 99 for configuration compression.zstd.level: Value must be no more than 22"),
        ),
        (
            &EACH,
            &[("log.cleaner.min.cleanable.ratio", "2")],
            format!("{invalid} 2.0 for configuration log.cleaner.min.cleanable.ratio: Value must be no more than 1"),
        ),
        (
            &EACH,
            &[("log.preallocate", "maybe")],
            format!("{invalid} maybe for configuration log.preallocate: Expected value to be either true or false"),
        ),
        (
            &EACH,
            &[("log.roll.ms", "0")],
            "requirement failed: log.roll.ms must be greater than or equal to 1".to_owned(),
        ),
        (
            &EACH,
            &[("log.cleaner.dedupe.buffer.size", "1")],
            "requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.".to_owned(),
        ),
        (
            &EACH,
            &[("group.consumer.assignment.interval.ms", "20000")],
            "group.consumer.assignment.interval.ms must be less than or equal to group.consumer.max.assignment.interval.ms"
                .to_owned(),
        ),
    ];
    let settings = config().settings;
    for (layers, given, expected) in cases {
        for layer in *layers {
            let result = check_broker_config(&settings, *layer, &map(given), &BTreeMap::new());
            let said = result.map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(said, *expected, "{layer:?} {given:?}");
        }
    }
    let topics_alone = check_broker_config(
        &settings,
        Layer::ThisBroker,
        &map(&[("log.flush.interval.ms", "-1")]),
        &map(&[]),
    );
    assert!(topics_alone.is_err(), "no topic can have it");
}

/// What is set for one broker hides what is set for all: also what would not go together.
#[test]
fn the_other_layer_counts_too() {
    let settings = config().settings;
    let roll = |text| map(&[("log.roll.ms", text)]);
    let check = |layer, next, other| check_broker_config(&settings, layer, &next, &other).is_ok();
    assert!(check(Layer::EveryBroker, roll("0"), roll("7000")));
    assert!(!check(Layer::EveryBroker, roll("0"), map(&[])));
    assert!(!check(Layer::ThisBroker, map(&[]), roll("0")));
}

#[test]
fn what_counts() {
    let config = config();
    let every = map(&[
        ("log.retention.ms", "1000000"),
        ("log.segment.bytes", "2000000"),
        ("producer.id.expiration.ms", "5000"),
        ("log.cleaner.backoff.ms", "7"),
        ("sasl.jaas.config", "is of one broker"),
    ]);
    let own = map(&[
        ("log.retention.ms", " 900000 "),
        ("message.max.bytes", "not a number"),
        ("num.partitions", "3"),
        ("group.consumer.assignment.interval.ms", "2000"),
    ]);
    let changed = config.with_changes(Changes::new(&every, &own)).expect("valid");
    let defaults = &changed.broker.topic_defaults;
    assert_eq!((defaults.retention_ms, defaults.segment_bytes), (900_000, 2_000_000));
    assert_eq!(defaults.message_bytes_max, 1_048_588);
    assert_eq!(defaults.segment_ms, 24 * 3_600_000);
    assert_eq!(changed.broker.partition_count, 1);
    assert_eq!(changed.broker.producer_id_expiration.as_secs(), 5);
    assert_eq!(changed.broker.cleaner.backoff.as_millis(), 7);
    assert_eq!(changed.broker.groups.consumer.assignment_interval.as_secs(), 2);
    let again = changed.with_changes(Changes::new(&map(&[]), &own)).expect("valid");
    assert_eq!(again.broker.topic_defaults.segment_bytes, 3_000_000, "as at the start");
    assert_eq!(again.broker.topic_defaults.retention_ms, 900_000);
    // Negative is for ever.
    let own = map(&[("log.retention.ms", "-5")]);
    let changed = config.with_changes(Changes::new(&every, &own)).expect("valid");
    assert_eq!(changed.broker.topic_defaults.retention_ms, -1);
}

#[test]
fn what_is_told() {
    let own = map(&[("sasl.jaas.config", "secret"), ("num.io.threads", "9")]);
    let changes = Changes::new(&map(&[("log.retention.ms", "1"), ("custom", "secret")]), &own);
    assert_eq!(
        changes.to_string(),
        "[this broker: num.io.threads=9 sasl.jaas.config][all brokers: custom log.retention.ms=1]"
    );
    assert_eq!(
        changes.without_effect(),
        ["custom", "num.io.threads", "sasl.jaas.config"]
    );
    assert!(!changes.is_empty());
    assert!(Changes::default().is_empty());
}

/// Every key that is said to change at once has a value that differs from that of the start once it is changed, or no effect at all.
#[test]
fn what_changes_at_once_is_read_again() {
    use crate::config::table::broker_properties;
    let config = config();
    let before = format!("{:?}", config.broker);
    for property in broker_properties() {
        if property.update == Update::Start || property.effect != Effect::Used {
            continue;
        }
        let value = match (property.name, property.default) {
            ("compression.gzip.level" | "compression.zstd.level" | "compression.lz4.level", _) => continue,
            ("compression.type", _) => "zstd",
            ("log.message.timestamp.type", _) => "LogAppendTime",
            ("log.cleanup.policy", _) => "compact",
            ("log.roll.jitter.ms" | "group.consumer.assignment.interval.ms", _) => "77",
            ("log.cleaner.min.cleanable.ratio" | "log.cleaner.io.buffer.load.factor", _) => "0.25",
            (_, Some("false")) => "true",
            _ => "7654321",
        };
        let changes = Changes::new(&map(&[(property.name, value)]), &map(&[]));
        let after = config.with_changes(changes).expect(property.name);
        assert_ne!(format!("{:?}", after.broker), before, "{}", property.name);
    }
}

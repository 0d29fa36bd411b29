use super::*;
use crate::base::ids::NodeId;

/// What is loaded from a file, variables and `--set`.
fn load_from(text: &str, variables: &[(&str, &str)], sets: &[&str]) -> Result<Config, ConfigError> {
    let environment: Vec<_> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    Config::load(&Inputs {
        file: Some(File {
            name: "server.properties",
            text,
        }),
        environment: &environment,
        sets: &sets,
        host_name: "host.example",
    })
}

fn load(text: &str) -> Config {
    load_from(text, &[], &[]).expect(text)
}

fn error(text: &str) -> String {
    load_from(text, &[], &[]).expect_err(text).to_string()
}

fn addresses(config: &Config) -> Vec<String> {
    let show = |listener: &Listener| format!("{} {} {}", listener.name, listener.bind, listener.advertised);
    config.broker.listeners.iter().map(show).collect()
}

#[test]
fn without_any_source() {
    let config = Config::load(&Inputs::default()).expect("defaults");
    assert_eq!(config.broker.node_id, NodeId(1));
    assert_eq!(config.broker.log_directories, ["./duramen-data"]);
    assert_eq!(addresses(&config), ["PLAINTEXT 127.0.0.1:9092 127.0.0.1:9092"]);
    assert_eq!(config.broker.core_count, None);
    assert_eq!(config.broker.topic_defaults.segment_ms, 604_800_000);
    assert_eq!(config.broker.topic_defaults.message_bytes_max, 1_048_588);
    assert!(config.broker.topic_defaults.cleanup.delete);
    assert_eq!(config.notices, Vec::<String>::new());
}

#[test]
fn stronger_sources_win() {
    let file = "num.partitions=2";
    const KAFKA: (&str, &str) = ("KAFKA_NUM_PARTITIONS", "3");
    const DURAMEN: (&str, &str) = ("DURAMEN_NUM_PARTITIONS", "4");
    type Variables = &'static [(&'static str, &'static str)];
    let cases: [(Variables, &[&str], i32); 4] = [
        (&[], &[], 2),
        (&[KAFKA], &[], 3),
        (&[DURAMEN, KAFKA], &[], 4),
        (&[KAFKA, DURAMEN], &["num.partitions=5", "num.partitions=6"], 6),
    ];
    for (variables, sets, expected) in cases {
        let config = load_from(file, variables, sets).expect("valid");
        assert_eq!(config.broker.partition_count, expected);
    }
}

#[test]
fn a_file_of_apache_kafka() {
    let config = load(
        "process.roles=broker,controller\nnode.id=7\ncontroller.quorum.bootstrap.servers=localhost:9093\n\
         listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ninter.broker.listener.name=PLAINTEXT\n\
         advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL\n\
         num.network.threads=3\nsocket.send.buffer.bytes=102400\nlog.dirs=/data/a, /data/b\nlog.retention.hours=24\n",
    );
    assert_eq!(config.broker.node_id, NodeId(7));
    assert_eq!(addresses(&config), ["PLAINTEXT :9092 localhost:9092"]);
    assert_eq!(config.broker.log_directories, ["/data/a", "/data/b"]);
    assert_eq!(config.broker.topic_defaults.retention_ms, 86_400_000);
    assert_eq!(
        config.notices,
        [
            "accepted keys of Kafka not in effect yet: controller.quorum.bootstrap.servers; \
             without meaning here: num.network.threads, socket.send.buffer.bytes",
            "the controller is inside this process: its listener CONTROLLER is accepted and not bound",
        ]
    );
}

#[test]
fn errors_say_where_what_and_what_to_do() {
    let cases = [
        (
            "\nlog.segment.bytes=12",
            "server.properties:2: log.segment.bytes=12 is not allowed: give a whole number of 32 bits, 1048576 or more",
        ),
        (
            "a=1\\\n2\nauto.create.topics.enable=yes",
            "server.properties:3: auto.create.topics.enable=yes is not allowed: give true or false",
        ),
        (
            "zookeeper.connect=zk:2181",
            "server.properties:1: zookeeper.connect: ZooKeeper mode does not exist since Kafka 4.0, and Duramen needs no other \
             process: remove the key",
        ),
        (
            "a=\\u00",
            "server.properties:1: \\u must be followed by four hexadecimal digits",
        ),
        (
            "listeners=SSL://:9093",
            "server.properties:1: listeners: listener SSL uses SSL, and only PLAINTEXT is supported yet: remove it or map it to \
             PLAINTEXT",
        ),
        (
            "listeners=INSIDE://:9093",
            "server.properties:1: listeners: listener INSIDE has no protocol: add INSIDE:PLAINTEXT to \
             listener.security.protocol.map",
        ),
        (
            "listeners=9092",
            "server.properties:1: listeners: 9092 is not of the form NAME://HOST:PORT, like PLAINTEXT://127.0.0.1:9092",
        ),
        (
            "advertised.listeners=PLAINTEXT://0.0.0.0:9092",
            "server.properties:1: advertised.listeners: clients cannot connect to PLAINTEXT://0.0.0.0:9092: give the host name or \
             address that they use",
        ),
        (
            "advertised.listeners=OTHER://h:9092",
            "server.properties:1: advertised.listeners: OTHER is no name of listeners: give one of PLAINTEXT",
        ),
        (
            "node.id=1\nbroker.id=2",
            "server.properties:2: broker.id: 2 differs from node.id, which is 1: remove broker.id",
        ),
        (
            "process.roles=broker",
            "server.properties:1: process.roles: the role controller is missing, and Duramen runs as a single node yet, broker and \
             controller in one: remove the key or give broker,controller",
        ),
        (
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "server.properties:1: authorizer.class.name: access control is not enforced yet, so whoever reaches the broker may do \
             everything: remove the key if that is meant",
        ),
        (
            "log.dirs=/a\nmetadata.log.dir=/b",
            "server.properties:2: metadata.log.dir: /b is not in log.dirs, and the metadata log is looked for there alone: add it to \
             log.dirs",
        ),
        (
            "log.dirs=/a,/a",
            "server.properties:1: log.dirs: /a stands twice: remove one",
        ),
        (
            "log.dirs=",
            "server.properties:1: log.dirs= is not allowed: give a list separated by commas",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(error(text), expected);
    }
    let origin = |variables: &[_], sets: &[_]| load_from("", variables, sets).expect_err("invalid").to_string();
    let expected = "is not allowed: give a whole number of 32 bits, 1 or more";
    assert_eq!(
        origin(&[("KAFKA_NUM_PARTITIONS", "0")], &[]),
        format!("environment variable KAFKA_NUM_PARTITIONS: num.partitions=0 {expected}")
    );
    assert_eq!(
        origin(&[], &["num.partitions=x"]),
        format!("--set: num.partitions=x {expected}")
    );
    assert_eq!(
        origin(&[], &["num.partitions"]),
        "--set: num.partitions is not of the form KEY=VALUE"
    );
}

#[test]
fn listeners_and_what_is_advertised() {
    let map = "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT,PLAINTEXT:PLAINTEXT\nlisteners=";
    let cases: [(&str, &[&str]); 7] = [
        ("PLAINTEXT://:9092", &["PLAINTEXT :9092 host.example:9092"]),
        ("plaintext://[::]:0", &["PLAINTEXT [::]:0 host.example:0"]),
        ("PLAINTEXT://[::1]:9092", &["PLAINTEXT [::1]:9092 [::1]:9092"]),
        ("A://:1,B://:2", &["A :1 host.example:1", "B :2 host.example:2"]),
        (
            "A://10.0.0.1:1,B://10.0.0.2:1",
            &["A 10.0.0.1:1 10.0.0.1:1", "B 10.0.0.2:1 10.0.0.2:1"],
        ),
        (
            "A://0.0.0.0:1,B://[::]:1",
            &["A 0.0.0.0:1 host.example:1", "B [::]:1 host.example:1"],
        ),
        (
            "A://:1,B://:2\nadvertised.listeners=B://out:5",
            &["A :1 host.example:1", "B :2 out:5"],
        ),
    ];
    for (listeners, expected) in cases {
        assert_eq!(addresses(&load(&format!("{map}{listeners}"))), expected, "{listeners}");
    }
    for wrong in [
        "A://:1,A://:2",
        "A://:1,B://h:1",
        "A://h:1,B://h:1",
        "A://[::1:1",
        "A://h",
        "A://h:65536",
        "://h:1",
        "",
        "A://a b:1",
    ] {
        assert!(load_from(&format!("{map}{wrong}"), &[], &[]).is_err(), "{wrong}");
    }
    let config = load(&format!("{map}A://:1,B://:2\ninter.broker.listener.name=b"));
    assert_eq!(config.broker.inter_broker_listener, "B");
    assert!(error(&format!("{map}A://:1\ninter.broker.listener.name=B")).contains("B is no listener of this broker"));
}

#[test]
fn keys_that_do_nothing_are_told() {
    let cases = [
        (
            "num.partition=3",
            "server.properties:1: num.partition is not known and is ignored; did you mean num.partitions?",
        ),
        (
            "my.own.key=3",
            "server.properties:1: my.own.key is not known and is ignored",
        ),
        (
            "retention.ms=3",
            "server.properties:1: retention.ms is a key of topics and is ignored; the broker's key is log.retention.ms",
        ),
        (
            "zookeeper.session.timeout.ms=3",
            "server.properties:1: zookeeper.session.timeout.ms no longer exists in Kafka 4 and is ignored; remove it: ZooKeeper mode \
             does not exist since Kafka 4.0",
        ),
        (
            "listener.name.a.ssl.protocol=x",
            "accepted keys of Kafka without meaning here: listener.name.a.ssl.protocol",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(load(text).notices, [expected]);
    }
    let twice = load("num.partitions=1\nnum.partitions=2");
    assert_eq!(
        twice.notices,
        ["server.properties:2: num.partitions stands in line 1 too; this one wins"]
    );
    assert_eq!(twice.broker.partition_count, 2);
}

#[test]
fn variables_of_start_scripts_and_kubernetes_are_not_keys() {
    let variables = [
        ("KAFKA_HEAP_OPTS", "-Xmx1G"),
        ("KAFKA_SERVICE_HOST", "10.0.0.1"),
        ("KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
        ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
        ("PATH", "/bin"),
    ];
    assert_eq!(
        load_from("", &variables, &[]).expect("valid").notices,
        Vec::<String>::new()
    );
    let slips = [
        ("KAFKA_NUM_PARTITION", "3"),
        ("DURAMEN_NOTHING", "3"),
        ("KAFKA_ADVERTISED_HOST_NAME", "h"),
    ];
    assert_eq!(load_from("", &slips, &[]).expect("valid").notices.len(), slips.len());
    let zookeeper = load_from("", &[("KAFKA_ZOOKEEPER_CONNECT", "zk:2181")], &[])
        .expect_err("refused")
        .to_string();
    assert!(
        zookeeper.starts_with("environment variable KAFKA_ZOOKEEPER_CONNECT: zookeeper.connect: "),
        "{zookeeper}"
    );
}

#[test]
fn topics_override_the_broker() {
    let config = load("log.roll.hours=1\nlog.roll.ms=5\nlog.segment.bytes=2000000\nmessage.max.bytes=100");
    let overrides = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let topic = config.topic(&overrides(&[])).expect("valid");
    assert_eq!(
        (topic.segment_ms, topic.segment_bytes, topic.message_bytes_max),
        (5, 2_000_000, 100)
    );
    assert_eq!(topic, config.broker.topic_defaults);
    let topic = config
        .topic(&overrides(&[
            ("segment.ms", "9"),
            ("internal.segment.bytes", "512"),
            ("cleanup.policy", "compact,delete"),
            ("message.timestamp.type", "LogAppendTime"),
            ("compression.type", "lz4"),
        ]))
        .expect("valid");
    assert_eq!((topic.segment_ms, topic.segment_bytes), (9, 512));
    assert_eq!(
        topic.cleanup,
        Cleanup {
            delete: true,
            compact: true
        }
    );
    assert_eq!(topic.timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(topic.compression, Compression::Lz4);
    let cases = [
        (("segment.byte", "1"), "Unknown topic config name: segment.byte"),
        (
            ("segment.bytes", "12"),
            "Invalid value 12 for configuration segment.bytes: give a whole number of 32 bits, 1048576 or more",
        ),
        (
            ("max.compaction.lag.ms", "5"),
            "min.compaction.lag.ms: 7 is larger than max.compaction.lag.ms, which is 5",
        ),
    ];
    let config = load("log.cleaner.min.compaction.lag.ms=7");
    for (pair, expected) in cases {
        let own = overrides(&[pair]);
        let refused = TopicConfig::accept(&config.settings, &own, own.keys()).expect_err("invalid");
        assert_eq!(refused.to_string(), expected);
    }
}

/// Typed reads rest on the rules of the table: whatever is accepted there must be readable.
#[test]
fn no_value_of_any_key_is_a_panic() {
    let values = [
        "",
        "-1",
        "0",
        "1",
        "32768",
        "2147483647",
        "9223372036854775807",
        "true",
        "0.5",
        "a,,b",
        "PLAINTEXT://:1",
    ];
    let defaults = load("");
    for value in values {
        for property in table::broker_properties() {
            let loaded = load_from("", &[], &[&format!("{}={value}", property.name)]);
            assert!(
                loaded.is_err() || property.parse(value).is_ok(),
                "{}={value}",
                property.name
            );
        }
        for property in table::topic_properties() {
            let topic = defaults.topic(&BTreeMap::from([(property.name.to_owned(), value.to_owned())]));
            assert!(
                topic.is_err() || property.parse(value).is_ok(),
                "{}={value}",
                property.name
            );
        }
    }
}

#[test]
fn the_level_of_compression_is_that_of_the_codec() {
    for (text, expected) in [
        ("", (Compression::Producer, None)),
        ("compression.type=gzip", (Compression::Gzip, None)),
        (
            "compression.type=gzip\ncompression.gzip.level=7",
            (Compression::Gzip, Some(7)),
        ),
        ("compression.type=zstd", (Compression::Zstd, Some(3))),
        (
            "compression.type=zstd\ncompression.zstd.level=-9",
            (Compression::Zstd, Some(-9)),
        ),
        (
            "compression.type=lz4\ncompression.lz4.level=12",
            (Compression::Lz4, None),
        ),
        ("compression.type=uncompressed", (Compression::Uncompressed, None)),
    ] {
        let defaults = load(text).broker.topic_defaults;
        assert_eq!((defaults.compression, defaults.compression_level), expected, "{text}");
    }
}

use super::*;
use crate::report::result::{Latency, Part, Usage};

fn run(contestant: Contestant, round: u32) -> Run {
    Run {
        scenario: "a".to_owned(),
        contestant,
        round,
        seconds: 1.0,
        parts: vec![Part {
            name: "produce".to_owned(),
            seconds: 1.0,
            requests: 10,
            records: 100,
            bytes: 1 << 30,
            latency: Some(Latency {
                samples: 10,
                mean_us: 5.0,
                p50_us: 5.0,
                p99_us: 50.0,
                p999_us: 80.0,
                max_us: 90.0,
                curve: vec![(0.0, 1.0), (0.5, 5.0), (0.99, 50.0)],
            }),
            bin_ms: 100.0,
            bin_mib_per_second: vec![1000.0, 1048.0],
            bin_latency_max_us: vec![50.0, 90.0],
        }],
        broker: Some(Usage {
            cpu_s: 0.5,
            seconds: 1.0,
            rss_max_mib: 50.0,
            ..Usage::default()
        }),
        generator_cpu_s: 1.0,
        others_share: None,
        verified_records: Some(100),
    }
}

fn lines_of_a_race() -> Vec<Line> {
    let text = "about = \"<x> & y\"\n[topic]\npartitions = 1\n[records]\nvalue_bytes = 1\n[produce]\nacks = \"1\"\nconnections = 1\n\
        depth = 1\n[[goal]]\nmetric = \"p99_us\"\nagainst = \"kafka\"\nat_most = 0.5\n";
    let scenario = Scenario::parse("a", text).unwrap();
    let mut all = vec![
        Line::Machine(Machine {
            began_unix_s: 1,
            command: "race".to_owned(),
            facts: [("kernel".to_owned(), "6.1 <b>".to_owned())].into(),
        }),
        Line::Scenario(Box::new(scenario)),
        Line::Raw(Raw {
            name: "loopback".to_owned(),
            scenario: String::new(),
            mib_per_second: 2500.0,
            latency: None,
        }),
        Line::Failed {
            why: "a against kafka: lost".to_owned(),
        },
    ];
    for round in 0..2 {
        all.push(Line::Run(Box::new(run(Contestant::Duramen, round))));
        all.push(Line::Run(Box::new(run(Contestant::Kafka, round))));
    }
    all
}

#[test]
fn the_page_shows_everything_and_needs_nothing() {
    let html = page(lines_of_a_race());
    for expected in [
        "<h1>The race</h1>",
        "6.1 &lt;b&gt;",
        "&lt;x&gt; &amp; y",
        "2 500 [2 500..2 500]",
        "a against kafka: lost",
        "MISSED",
        "1.00 [1.00..1.00]",
        "Latency by percentile",
        "Throughput over time",
        "CPU s/GiB",
    ] {
        assert!(html.contains(expected), "{expected}");
    }
    for foreign in ["http:", "https:", "src=", "href=", "<script", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    assert!(html.matches("<polyline").count() == 4);
}

#[test]
fn results_are_the_same_after_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("results.jsonl");
    let all = lines_of_a_race();
    crate::report::result::append(&path, &all[..3]).unwrap();
    crate::report::result::append(&path, &all[3..]).unwrap();
    let read = crate::report::result::read(&path).unwrap();
    assert_eq!(page(read), page(all));
    std::fs::write(&path, "{}\n").unwrap();
    let error = crate::report::result::read(&path).unwrap_err().to_string();
    assert!(error.contains("results.jsonl line 1"), "{error}");
}

#[test]
fn brokers_alone_have_a_table_too() {
    let all = lines_of_a_race()
        .into_iter()
        .filter(|line| !matches!(line, Line::Run(run) if run.contestant == Contestant::Kafka));
    let html = page(all.collect());
    assert!(html.contains("requests/CPU s") && !html.contains("MISSED"), "{html}");
}

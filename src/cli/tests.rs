use super::*;

fn start_with(arguments: &[&str]) -> Start {
    start(
        std::iter::once("duramen")
            .chain(arguments.iter().copied())
            .map(OsString::from),
    )
}

#[test]
fn a_broker_that_ended() {
    assert_eq!(ended::<std::fmt::Error>(Ok(())), ExitCode::SUCCESS);
    assert_eq!(ended(Err(std::fmt::Error)), EXIT_FAILURE.into());
}

#[test]
fn serve_reads_the_file_and_the_command_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("server.properties");
    #[expect(clippy::disallowed_methods, reason = "the test prepares a file as a person would")]
    std::fs::write(&path, "num.partitions=3\nlog.dirs=/data/é\n").expect("written");
    let path = path.to_str().expect("text");
    let Start::Serve(config) = start_with(&["serve", path, "--set", "broker.rack=r", "--set", "node.id=4"]) else {
        panic!("refused");
    };
    assert_eq!(config.broker.partition_count, 3);
    assert_eq!(config.broker.log_directories, ["/data/é"]);
    assert_eq!(config.broker.rack.as_deref(), Some("r"));
    assert_eq!(config.broker.node_id.0, 4);
}

#[test]
fn a_file_that_is_no_text() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("server.properties");
    #[expect(clippy::disallowed_methods, reason = "the test prepares a file as a person would")]
    std::fs::write(&path, b"a=\xff").expect("written");
    let error = load::load(Some(path.as_os_str()), &[])
        .expect_err("refused")
        .to_string();
    assert!(error.ends_with("it is not UTF-8 at byte 2"), "{error}");
}

#[test]
fn the_reference_names_every_key() {
    let text = reference::reference();
    for property in crate::config::table::broker_properties().chain(crate::config::table::topic_properties()) {
        assert!(text.contains(&format!("{}\n    ", property.name)), "{}", property.name);
    }
}

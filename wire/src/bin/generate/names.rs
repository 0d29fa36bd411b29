//! Kafka's names as Rust's.

/// `TopicId` is `topic_id`, `KRaftVersion` is `kraft_version`.
pub fn snake(name: &str) -> String {
    let chars: Vec<char> = name.replace("KRaft", "Kraft").chars().collect();
    let mut snake = String::new();
    for (index, char) in chars.iter().enumerate() {
        let after_lower = index > 0 && chars.get(index - 1).is_some_and(|c| !c.is_ascii_uppercase());
        let before_lower = index > 0 && chars.get(index + 1).is_some_and(|c| c.is_ascii_lowercase());
        if char.is_ascii_uppercase() && (after_lower || before_lower) {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}

/// A field's name, raw where it is a keyword.
pub fn field(name: &str) -> String {
    let name = snake(name);
    match name.as_str() {
        "type" | "match" | "use" | "in" | "ref" | "move" | "loop" => format!("r#{name}"),
        _ => name,
    }
}

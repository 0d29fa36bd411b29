//! Writes the code of one structure: its declaration and default here, the rest in `decode` and `encode`.

use std::fmt::Write;

use crate::names;
use crate::schema::{Field, Message, Struct, Type};
use crate::types::{Form, default, field_type, struct_bytes_min};
use crate::versions::Condition;

/// One structure of a message, in one form.
pub struct Emitter<'a> {
    pub message: &'a Message,
    pub spec: &'a Struct,
    pub form: Form,
}

impl Emitter<'_> {
    pub fn emit(&self, out: &mut String) {
        self.declaration(out);
        match self.form {
            Form::Owned => {
                self.default_impl(out);
                out.push_str(&format!("impl Message for {} {{\n", self.spec.name));
                let bytes_min = struct_bytes_min(self.message, &self.spec.name);
                out.push_str(&format!("const BYTES_MIN: usize = {bytes_min};\n"));
                self.decode(out);
                self.encode(out);
                out.push_str("}\n");
            }
            Form::Borrowed => {
                out.push_str(&format!("impl<'a> {}<'a> {{\n", self.spec.name));
                self.decode(out);
                out.push_str("}\n");
            }
        }
    }

    pub fn is_top(&self) -> bool {
        self.spec.name == self.message.name
    }

    fn declaration(&self, out: &mut String) {
        let message = self.message;
        if self.is_top() {
            let (low, high) = (message.versions.low, message.versions.high);
            _ = write!(out, "/// Versions {low} to {high}");
            _ = match message.flexible {
                flexible if flexible.is_empty() => writeln!(out, ", none of them flexible."),
                flexible => writeln!(out, ", flexible from {}.", flexible.low),
            };
        }
        let natural = self.spec.fields.iter().all(|field| default(field, self.form).1);
        let derives = match self.form {
            Form::Owned if natural => "Debug, Clone, PartialEq, Default",
            _ => "Debug, Clone, PartialEq",
        };
        let lifetime = if self.form == Form::Borrowed { "<'a>" } else { "" };
        _ = writeln!(out, "#[derive({derives})]\npub struct {}{lifetime} {{", self.spec.name);
        for field in &self.spec.fields {
            _ = writeln!(
                out,
                "pub {}: {},",
                names::field(&field.name),
                field_type(message, field, self.form)
            );
        }
        out.push_str("}\n\n");
        if self.is_top() && self.form == Form::Owned {
            _ = writeln!(out, "impl {} {{", message.name);
            if let (Some(key), false) = (
                message.api_key,
                message.name.ends_with("Request") || message.name.ends_with("Response"),
            ) {
                _ = writeln!(out, "pub const KEY: i16 = {key};");
            }
            let (low, high) = (message.versions.low, message.versions.high);
            _ = writeln!(out, "pub const VERSIONS: RangeInclusive<i16> = {low}..={high};\n}}\n");
        }
    }

    fn default_impl(&self, out: &mut String) {
        if self.spec.fields.iter().all(|field| default(field, self.form).1) {
            return;
        }
        _ = writeln!(
            out,
            "impl Default for {} {{\nfn default() -> Self {{\nSelf {{",
            self.spec.name
        );
        for field in &self.spec.fields {
            _ = writeln!(out, "{}: {},", names::field(&field.name), default(field, self.form).0);
        }
        out.push_str("}\n}\n}\n\n");
    }

    /// Whether a tagged field is in a version, given that the version is flexible.
    pub fn tag_condition(&self, field: &Field) -> Condition {
        Condition::new(field.versions, self.spec.versions.and(self.message.flexible))
    }

    pub fn condition(&self, field: &Field) -> Condition {
        Condition::new(field.versions, self.spec.versions)
    }

    /// How a field's lengths are written: a literal, or the variable `flexible`.
    pub fn flexible(&self, field: &Field) -> String {
        match Condition::new(field.flexible.unwrap_or(self.message.flexible), self.spec.versions) {
            Condition::If(_) => "flexible".into(),
            constant => constant.expression().to_owned(),
        }
    }

    pub fn when_flexible(&self, code: &str) -> String {
        match Condition::new(self.message.flexible, self.spec.versions) {
            Condition::Always => code.to_owned(),
            Condition::Never => String::new(),
            Condition::If(_) => format!("if flexible {{\n{code}}}\n"),
        }
    }

    pub fn flexible_variable(&self, body: &str) -> String {
        match Condition::new(self.message.flexible, self.spec.versions) {
            Condition::If(condition) if body.contains("flexible") => format!("let flexible = {condition};\n"),
            _ => String::new(),
        }
    }

    pub fn label(&self, field: &Field) -> String {
        format!("\"{}.{}\"", self.spec.name, names::snake(&field.name))
    }
}

pub fn primitive_name(ty: &Type) -> String {
    format!("{ty:?}").to_lowercase()
}

/// An argument's name, with an underscore in front if `body` does not use it.
pub fn argument(name: &str, body: &str) -> String {
    let used = body
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|word| word == name);
    if used { name.to_owned() } else { format!("_{name}") }
}

//! Writes how a structure is read.

use std::fmt::Write;

use crate::names;
use crate::schema::{Field, Type};
use crate::structs::{Emitter, argument, primitive_name};
use crate::types::{Form, bytes_min, default, has_lifetime};
use crate::versions::Condition;

impl Emitter<'_> {
    pub fn decode(&self, out: &mut String) {
        let mut body = String::new();
        for field in &self.spec.fields {
            let name = names::field(&field.name);
            let value = default(field, self.form).0;
            let read = self.read(field);
            _ = match self.condition(field) {
                _ if !field.tagged.is_empty() => writeln!(body, "{name}: {value},"),
                Condition::Always => writeln!(body, "{name}: {read},"),
                Condition::Never => writeln!(body, "{name}: {value},"),
                Condition::If(condition) => writeln!(body, "{name}: if {condition} {{ {read} }} else {{ {value} }},"),
            };
        }
        let tags = self.read_tags();
        let body = if tags.is_empty() {
            format!("Ok(Self {{\n{body}}})\n")
        } else if tags.contains("this.") {
            format!("let mut this = Self {{\n{body}}};\n{tags}Ok(this)\n")
        } else {
            format!("let this = Self {{\n{body}}};\n{tags}Ok(this)\n")
        };
        let owned = match self.form {
            Form::Owned => "Self".to_owned(),
            Form::Borrowed => format!("crate::messages::{}", self.message.name),
        };
        let check = match self.is_top() {
            true => format!(
                "if !{owned}::VERSIONS.contains(&version) {{\nreturn Err(DecodeError::UnsupportedVersion(version));\n}}\n"
            ),
            false => String::new(),
        };
        let flexible = self.flexible_variable(&body);
        let body = format!("{check}{flexible}{body}");
        let (r, version) = (argument("r", &body), argument("version", &body));
        let signature = match self.form {
            Form::Owned => format!("fn decode({r}: &mut Reader<'_>, {version}: i16)"),
            Form::Borrowed => format!("pub fn decode({r}: &mut Reader<'a>, {version}: i16)"),
        };
        _ = writeln!(out, "{signature} -> Result<Self, DecodeError> {{\n{body}}}\n");
    }

    fn read_tags(&self) -> String {
        let tagged: Vec<_> = self
            .spec
            .fields
            .iter()
            .filter(|field| !field.tagged.is_empty())
            .collect();
        let mut read = String::new();
        if tagged.is_empty() {
            read.push_str("r.skip_tags()?;\n");
        } else {
            read.push_str("r.tags(|r, tag| {\nmatch tag {\n");
            for field in tagged {
                let guard = match self.tag_condition(field) {
                    Condition::Always => String::new(),
                    Condition::Never => continue,
                    Condition::If(condition) => format!(" if {condition}"),
                };
                let (tag, name) = (field.tag.unwrap_or_default(), names::field(&field.name));
                _ = writeln!(read, "{tag}{guard} => this.{name} = {},", self.read(field));
                if !guard.is_empty() {
                    _ = writeln!(read, "{tag} => return Err(DecodeError::InvalidTag(tag)),");
                }
            }
            read.push_str("_ => return Ok(false),\n}\nOk(true)\n})?;\n");
        }
        self.when_flexible(&read)
    }

    fn read(&self, field: &Field) -> String {
        let flexible = self.flexible(field);
        let option = !field.nullable.is_empty();
        let mut read = self.read_type(&field.ty, option, &flexible);
        if !field.tagged.is_empty() {
            read = read.replace("nullable_struct(", "tagged_nullable_struct(");
        }
        match Condition::new(field.nullable, field.versions.and(self.spec.versions)) {
            Condition::If(condition) => format!("Reader::null_if({condition}, {read}?)?"),
            _ => format!("{read}?"),
        }
    }

    /// An expression that reads a value, without its `?`.
    fn read_type(&self, ty: &Type, option: bool, flexible: &str) -> String {
        let nullable = if option { "nullable_" } else { "" };
        let borrowed = if self.form == Form::Borrowed { "borrowed_" } else { "" };
        match ty {
            Type::Struct(_) if option => "r.nullable_struct(version)".into(),
            Type::Struct(name) => format!("{name}::decode(r, version)"),
            Type::String => format!("r.{nullable}{borrowed}string({flexible})"),
            Type::Records if self.form == Form::Borrowed => format!("r.{nullable}{borrowed}bytes({flexible})"),
            Type::Records => format!("r.{nullable}records({flexible})"),
            Type::Bytes => format!("r.{nullable}{borrowed}bytes({flexible})"),
            Type::Array(element) => match element.as_ref() {
                Type::Struct(name) if self.form == Form::Owned || !has_lifetime(self.message, name) => {
                    format!("r.{nullable}structs({flexible}, version)")
                }
                element => {
                    let min = bytes_min(self.message, element, self.spec.versions, self.message.flexible);
                    let read = self.read_type(element, false, flexible);
                    let read = match read.strip_prefix("r.").and_then(|read| read.strip_suffix("()")) {
                        Some(method) => format!("Reader::{method}"),
                        None => format!("|r| {read}"),
                    };
                    format!("r.{nullable}array({flexible}, {min}, {read})")
                }
            },
            primitive => format!("r.{}()", primitive_name(primitive)),
        }
    }
}

//! Writes the code of one structure.

use std::fmt::Write;

use crate::names;
use crate::schema::{Field, Message, Struct, Type};
use crate::types::{
    Form, bytes_min, default, differs_from_default, field_type, has_lifetime, is_option, struct_bytes_min,
};
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

    fn is_top(&self) -> bool {
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

    fn decode(&self, out: &mut String) {
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

    fn encode(&self, out: &mut String) {
        let mut body = String::new();
        for field in self.spec.fields.iter().filter(|field| field.tagged.is_empty()) {
            let write = self.write(field);
            _ = match self.condition(field) {
                Condition::Always => writeln!(body, "{write}"),
                Condition::Never => Ok(()),
                Condition::If(condition) => {
                    writeln!(body, "if {condition} {{ {write} }} {}", self.refuse_elsewhere(field))
                }
            };
        }
        body.push_str(&self.write_tags());
        let check = if self.is_top() {
            "if !Self::VERSIONS.contains(&version) {\nreturn Err(EncodeError::UnsupportedVersion(version));\n}\n"
        } else {
            ""
        };
        let body = format!("{check}{}{body}Ok(())\n", self.flexible_variable(&body));
        let (w, version) = (argument("w", &body), argument("version", &body));
        _ = writeln!(
            out,
            "fn encode(&self, {w}: &mut Writer, {version}: i16) -> Result<(), EncodeError> {{\n{body}}}"
        );
    }

    /// What happens with a field in a version without it.
    fn refuse_elsewhere(&self, field: &Field) -> String {
        if field.ignorable {
            return String::new();
        }
        let differs = differs_from_default(field);
        format!(
            "else if {differs} {{ return Err(EncodeError::FieldNotInVersion({})); }}",
            self.label(field)
        )
    }

    fn write_tags(&self) -> String {
        let mut tagged: Vec<_> = self
            .spec
            .fields
            .iter()
            .filter(|field| !field.tagged.is_empty())
            .collect();
        tagged.sort_by_key(|field| field.tag);
        if tagged.is_empty() {
            return self.when_flexible("w.unsigned_varint(0);\n");
        }
        let (mut refuse, mut flags, mut counts, mut writes) = (String::new(), String::new(), Vec::new(), String::new());
        for field in tagged {
            let set = differs_from_default(field);
            if let (Condition::If(condition), false) = (self.condition(field), field.ignorable) {
                let (label, condition) = (self.label(field), Condition::negation(&condition));
                _ = writeln!(
                    refuse,
                    "if {condition} && {set} {{ return Err(EncodeError::FieldNotInVersion({label})); }}"
                );
            }
            let set = match self.tag_condition(field) {
                Condition::If(condition) => format!("{condition} && {set}"),
                _ => set,
            };
            let tag = field.tag.unwrap_or_default();
            let flag = format!("has_{}", names::snake(&field.name));
            counts.push(format!("u32::from({flag})"));
            _ = writeln!(flags, "let {flag} = {set};");
            let write = self.write(field);
            let write = match write.strip_suffix("?;") {
                Some(write) if !write.contains(';') => write.to_owned(),
                _ => format!("{{ {write} Ok(()) }}"),
            };
            _ = writeln!(writes, "if {flag} {{ w.tag({tag}, |w| {write})?; }}");
        }
        let write = format!("{flags}w.unsigned_varint({});\n{writes}", counts.join(" + "));
        format!("{refuse}{}", self.when_flexible(&write))
    }

    /// Whether a tagged field is in a version, given that the version is flexible.
    fn tag_condition(&self, field: &Field) -> Condition {
        Condition::new(field.versions, self.spec.versions.and(self.message.flexible))
    }

    /// Statements that write a field.
    fn write(&self, field: &Field) -> String {
        let name = names::field(&field.name);
        let flexible = self.flexible(field);
        if field.ty == Type::Records {
            return match field.nullable.is_empty() {
                true => format!("w.records(&self.{name}, {flexible}, {})?;", self.label(field)),
                false => format!("w.nullable_records(&self.{name}, {flexible})?;"),
            };
        }
        if !is_option(field, Form::Owned) {
            return self.write_type(&field.ty, &format!("self.{name}"), Access::Place, &flexible);
        }
        let mut write = self.write_type(&field.ty, &format!("self.{name}"), Access::Option, &flexible);
        if !field.tagged.is_empty() {
            write = write.replace("nullable_struct(", "tagged_nullable_struct(");
        }
        match Condition::new(field.nullable, field.versions.and(self.spec.versions)) {
            Condition::If(condition) => format!(
                "if {} && self.{name}.is_none() {{ return Err(EncodeError::UnexpectedNull({})); }} {write}",
                Condition::negation(&condition),
                self.label(field)
            ),
            _ => write,
        }
    }

    fn write_type(&self, ty: &Type, value: &str, access: Access, flexible: &str) -> String {
        let reference = match access {
            Access::Place => format!("&{value}"),
            Access::Reference => value.to_owned(),
            Access::Option => format!("{value}.as_deref()"),
        };
        let nullable = if access == Access::Option { "nullable_" } else { "" };
        match ty {
            Type::Struct(_) if access == Access::Option => format!("w.nullable_struct({value}.as_ref(), version)?;"),
            Type::Struct(_) => format!("{value}.encode(w, version)?;"),
            Type::String => format!("w.{nullable}string({reference}, {flexible})?;"),
            Type::Bytes | Type::Records => format!("w.{nullable}bytes({reference}, {flexible})?;"),
            Type::Array(element) if matches!(**element, Type::Struct(_)) => {
                format!("w.{nullable}structs({reference}, {flexible}, version)?;")
            }
            Type::Array(element) => {
                let write = self.write_type(element, "value", Access::Reference, flexible);
                let write = match write.strip_suffix("?;") {
                    Some(write) => write.to_owned(),
                    None => format!("{{ {write} Ok(()) }}"),
                };
                format!("w.{nullable}array({reference}, {flexible}, |w, value| {write})?;")
            }
            primitive => {
                let deref = if access == Access::Reference { "*" } else { "" };
                format!("w.{}({deref}{value});", primitive_name(primitive))
            }
        }
    }

    fn condition(&self, field: &Field) -> Condition {
        Condition::new(field.versions, self.spec.versions)
    }

    /// How a field's lengths are written: a literal, or the variable `flexible`.
    fn flexible(&self, field: &Field) -> String {
        match Condition::new(field.flexible.unwrap_or(self.message.flexible), self.spec.versions) {
            Condition::If(_) => "flexible".into(),
            constant => constant.expression().to_owned(),
        }
    }

    fn when_flexible(&self, code: &str) -> String {
        match Condition::new(self.message.flexible, self.spec.versions) {
            Condition::Always => code.to_owned(),
            Condition::Never => String::new(),
            Condition::If(_) => format!("if flexible {{\n{code}}}\n"),
        }
    }

    fn flexible_variable(&self, body: &str) -> String {
        match Condition::new(self.message.flexible, self.spec.versions) {
            Condition::If(condition) if body.contains("flexible") => format!("let flexible = {condition};\n"),
            _ => String::new(),
        }
    }

    fn label(&self, field: &Field) -> String {
        format!("\"{}.{}\"", self.spec.name, names::snake(&field.name))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// A place of the type itself.
    Place,
    /// A reference to it.
    Reference,
    /// A place of an `Option` of it.
    Option,
}

fn primitive_name(ty: &Type) -> String {
    format!("{ty:?}").to_lowercase()
}

/// An argument's name, with an underscore in front if `body` does not use it.
fn argument(name: &str, body: &str) -> String {
    let used = body
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|word| word == name);
    if used { name.to_owned() } else { format!("_{name}") }
}

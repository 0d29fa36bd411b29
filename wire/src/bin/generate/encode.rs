//! Writes how a structure is written.

use std::fmt::Write;

use crate::names;
use crate::schema::{Field, Type};
use crate::structs::{Emitter, argument, primitive_name};
use crate::types::{Form, differs_from_default, is_option};
use crate::versions::Condition;

impl Emitter<'_> {
    pub fn encode(&self, out: &mut String) {
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

//! Types, default values and smallest sizes of fields.

use crate::schema::{Field, Message, Type, Versions};

/// Owned, or borrowed from the frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Owned,
    Borrowed,
}

/// Whether a field is an `Option`. Records say null themselves when owned.
pub fn is_option(field: &Field, form: Form) -> bool {
    !field.nullable.is_empty() && (field.ty != Type::Records || form == Form::Borrowed)
}

/// The Rust type of a field.
pub fn field_type(message: &Message, field: &Field, form: Form) -> String {
    let ty = rust_type(message, &field.ty, form);
    if is_option(field, form) {
        format!("Option<{ty}>")
    } else {
        ty
    }
}

fn rust_type(message: &Message, ty: &Type, form: Form) -> String {
    let borrowed = form == Form::Borrowed;
    match ty {
        Type::Bool => "bool".into(),
        Type::Int8 => "i8".into(),
        Type::Int16 => "i16".into(),
        Type::Uint16 => "u16".into(),
        Type::Int32 => "i32".into(),
        Type::Uint32 => "u32".into(),
        Type::Int64 => "i64".into(),
        Type::Float64 => "f64".into(),
        Type::Uuid => "[u8; 16]".into(),
        Type::String if borrowed => "&'a str".into(),
        Type::Bytes | Type::Records if borrowed => "&'a [u8]".into(),
        Type::String => "String".into(),
        Type::Bytes => "Bytes".into(),
        Type::Records => "Records".into(),
        Type::Struct(name) if borrowed && has_lifetime(message, name) => format!("{name}<'a>"),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", rust_type(message, element, form)),
    }
}

/// Whether the borrowed form of a structure holds anything borrowed. If not, the owned one serves.
pub fn has_lifetime(message: &Message, name: &str) -> bool {
    fn borrows(message: &Message, ty: &Type) -> bool {
        match ty {
            Type::String | Type::Bytes | Type::Records => true,
            Type::Struct(name) => has_lifetime(message, name),
            Type::Array(element) => borrows(message, element),
            _ => false,
        }
    }
    message
        .structs
        .iter()
        .any(|s| s.name == name && s.fields.iter().any(|field| borrows(message, &field.ty)))
}

/// The default value of a field as an expression, and whether it is also what `Default` gives.
pub fn default(field: &Field, form: Form) -> (String, bool) {
    let text = field.default.as_str();
    let option = is_option(field, form);
    if text == "null" {
        return if option {
            ("None".into(), true)
        } else {
            ("Records::Null".into(), true)
        };
    }
    let (value, natural) = match &field.ty {
        Type::Bool if text == "true" => ("true".into(), false),
        Type::Bool => ("false".into(), true),
        Type::Float64 if text.is_empty() => ("0.0".into(), true),
        Type::Int8 | Type::Int16 | Type::Uint16 | Type::Int32 | Type::Uint32 | Type::Int64 | Type::Float64 => {
            let zero = text.is_empty() || text == "0";
            (if zero { "0".into() } else { text.to_owned() }, zero)
        }
        Type::Uuid => ("[0; 16]".into(), true),
        Type::String if form == Form::Borrowed => (format!("{text:?}"), text.is_empty()),
        Type::String if text.is_empty() => ("String::new()".into(), true),
        Type::String => (format!("{text:?}.to_owned()"), false),
        Type::Bytes | Type::Records if form == Form::Borrowed => ("&[]".into(), true),
        Type::Bytes => ("Bytes::new()".into(), true),
        Type::Records => ("Records::Null".into(), true),
        Type::Struct(name) => (format!("{name}::default()"), true),
        Type::Array(_) => ("Vec::new()".into(), true),
    };
    if option {
        (format!("Some({value})"), false)
    } else {
        (value, natural)
    }
}

/// The condition that an owned field has another value than its default.
pub fn differs_from_default(field: &Field) -> String {
    let name = crate::names::field(&field.name);
    let option = is_option(field, Form::Owned);
    if option && field.default == "null" {
        return format!("self.{name}.is_some()");
    }
    match &field.ty {
        Type::Bool if field.default == "true" => format!("!self.{name}"),
        Type::Bool => format!("self.{name}"),
        Type::String if !option && field.default.is_empty() => format!("!self.{name}.is_empty()"),
        Type::Array(_) | Type::Bytes if !option => format!("!self.{name}.is_empty()"),
        Type::String if option => format!("self.{name}.as_deref() != Some({:?})", field.default),
        Type::String => format!("self.{name} != {:?}", field.default),
        Type::Array(_) | Type::Bytes => format!("self.{name}.as_ref().is_none_or(|value| !value.is_empty())"),
        Type::Struct(_) | Type::Records if !option => format!("self.{name} != {}", default(field, Form::Owned).0),
        Type::Struct(name_of_type) => {
            format!("self.{name}.as_ref().is_none_or(|value| *value != {name_of_type}::default())")
        }
        _ => format!("self.{name} != {}", default(field, Form::Owned).0),
    }
}

/// The fewest bytes that a value of a type takes in any of `versions`.
pub fn bytes_min(message: &Message, ty: &Type, versions: Versions, flexible: Versions) -> usize {
    let compact = !flexible.and(versions).is_empty();
    match ty {
        Type::Bool | Type::Int8 => 1,
        Type::Int16 | Type::Uint16 => 2,
        Type::Int32 | Type::Uint32 => 4,
        Type::Int64 | Type::Float64 => 8,
        Type::Uuid => 16,
        Type::String if !compact => 2,
        Type::Bytes | Type::Records | Type::Array(_) if !compact => 4,
        Type::String | Type::Bytes | Type::Records | Type::Array(_) => 1,
        Type::Struct(name) => struct_bytes_min(message, name),
    }
}

/// The same of a structure: what it has in all of its versions.
pub fn struct_bytes_min(message: &Message, name: &str) -> usize {
    let Some(spec) = message.structs.iter().find(|s| s.name == name) else {
        return 1;
    };
    let mut sum = usize::from(message.flexible.covers(spec.versions));
    for field in &spec.fields {
        if !field.versions.covers(spec.versions) || !field.tagged.is_empty() {
            continue;
        }
        let null_struct = matches!(field.ty, Type::Struct(_)) && !field.nullable.is_empty();
        let flexible = field.flexible.unwrap_or(message.flexible);
        sum += if null_struct {
            1
        } else {
            bytes_min(message, &field.ty, spec.versions, flexible)
        };
    }
    sum.max(1)
}

//! Kafka's message definitions, resolved: what `org.apache.kafka.message.MessageSpec` and its parts say.

use crate::json::Json;

/// Both ends inclusive; empty if `low > high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub low: i16,
    pub high: i16,
}

impl Versions {
    pub const NONE: Self = Self { low: 0, high: -1 };
    pub const ALL: Self = Self { low: 0, high: i16::MAX };

    fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("{text} is not a version"));
        if text == "none" {
            return Ok(Self::NONE);
        }
        if let Some(low) = text.strip_suffix('+') {
            return Ok(Self {
                low: number(low)?,
                high: i16::MAX,
            });
        }
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        Ok(Self {
            low: number(low)?,
            high: number(high)?,
        })
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            low: self.low.max(other.low),
            high: self.high.min(other.high),
        }
    }

    pub fn is_empty(self) -> bool {
        self.low > self.high
    }

    pub fn covers(self, other: Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(element) = text.strip_prefix("[]") {
            return Ok(Self::Array(Box::new(Self::parse(element)?)));
        }
        Ok(match text {
            "bool" => Self::Bool,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "uint16" => Self::Uint16,
            "int32" => Self::Int32,
            "uint32" => Self::Uint32,
            "int64" => Self::Int64,
            "float64" => Self::Float64,
            "uuid" => Self::Uuid,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "records" => Self::Records,
            name if name.starts_with(|c: char| c.is_ascii_uppercase()) => Self::Struct(name.to_owned()),
            _ => return Err(format!("unknown type {text}")),
        })
    }
}

#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    pub versions: Versions,
    pub nullable: Versions,
    pub tagged: Versions,
    pub tag: Option<u32>,
    /// Text of the default; empty means the type's own.
    pub default: String,
    pub ignorable: bool,
    /// Overrides that of the message.
    pub flexible: Option<Versions>,
}

#[derive(Debug, Clone)]
pub struct Struct {
    pub name: String,
    /// In which it can occur.
    pub versions: Versions,
    pub fields: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
    /// A record of the metadata log.
    Metadata,
    /// Headers, control records, records of internal topics.
    Other,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub name: String,
    pub kind: Kind,
    pub api_key: Option<i16>,
    pub versions: Versions,
    pub flexible: Versions,
    pub latest_unstable: bool,
    /// The message itself first.
    pub structs: Vec<Struct>,
}

impl Message {
    /// `None` for a message of which no version is left.
    pub fn parse(text: &str, of_metadata_log: bool) -> Result<Option<Self>, String> {
        let json = Json::parse(text)?;
        let name = required(&json, "name")?;
        let versions = Versions::parse(&required(&json, "validVersions")?)?;
        if versions.is_empty() {
            return Ok(None);
        }
        let kind = match required(&json, "type")?.as_str() {
            "request" => Kind::Request,
            "response" => Kind::Response,
            "metadata" if of_metadata_log => Kind::Metadata,
            _ => Kind::Other,
        };
        let mut structs = Vec::new();
        add_struct(&mut structs, &json, &name, versions)?;
        for common in json.get("commonStructs").map(Json::items).unwrap_or_default() {
            let versions = versions_of(common, "versions")?.unwrap_or(Versions::ALL).and(versions);
            add_struct(&mut structs, common, &required(common, "name")?, versions)?;
        }
        let api_key = json.get("apiKey").and_then(Json::text);
        Ok(Some(Self {
            kind,
            api_key: api_key
                .map(|key| key.parse().map_err(|_| format!("bad key of {name}")))
                .transpose()?,
            versions,
            flexible: versions_of(&json, "flexibleVersions")?
                .ok_or("no flexibleVersions")?
                .and(versions),
            latest_unstable: json.get("latestVersionUnstable") == Some(&Json::Bool(true)),
            structs,
            name,
        }))
    }
}

/// Adds a structure, then those that are declared inside of it. Fields that no version has are left out.
fn add_struct(structs: &mut Vec<Struct>, json: &Json, name: &str, versions: Versions) -> Result<(), String> {
    if structs.iter().any(|other| other.name == name) {
        return Err(format!("structure {name} is declared twice"));
    }
    let fields = json.get("fields").map(Json::items).unwrap_or_default();
    let mut parsed = Vec::new();
    let mut inner = Vec::new();
    for field_json in fields {
        let field = parse_field(field_json, versions)?;
        if field.versions.is_empty() {
            continue;
        }
        if let (Some(_), Some(name)) = (field_json.get("fields"), struct_of(&field.ty)) {
            inner.push((field_json, name.to_owned(), field.versions));
        }
        parsed.push(field);
    }
    structs.push(Struct {
        name: name.to_owned(),
        versions,
        fields: parsed,
    });
    inner
        .into_iter()
        .try_for_each(|(json, name, versions)| add_struct(structs, json, &name, versions))
}

fn parse_field(json: &Json, within: Versions) -> Result<Field, String> {
    let name = required(json, "name")?;
    let tagged = versions_of(json, "taggedVersions")?.unwrap_or(Versions::NONE);
    let versions = versions_of(json, "versions")?.unwrap_or(tagged).and(within);
    let tagged = tagged.and(versions);
    if !tagged.is_empty() && tagged != versions {
        return Err(format!("{name} is tagged in some of its versions only"));
    }
    let tag = json.get("tag").and_then(Json::text);
    Ok(Field {
        ty: Type::parse(&required(json, "type")?)?,
        versions,
        nullable: versions_of(json, "nullableVersions")?
            .unwrap_or(Versions::NONE)
            .and(versions),
        tagged,
        tag: tag
            .map(|tag| tag.parse().map_err(|_| format!("bad tag of {name}")))
            .transpose()?,
        default: json.get("default").and_then(Json::text).unwrap_or_default(),
        ignorable: json.get("ignorable") == Some(&Json::Bool(true)),
        flexible: versions_of(json, "flexibleVersions")?,
        name,
    })
}

/// The structure that a field or its elements are of.
pub fn struct_of(ty: &Type) -> Option<&str> {
    match ty {
        Type::Struct(name) => Some(name),
        Type::Array(element) => struct_of(element),
        _ => None,
    }
}

fn versions_of(json: &Json, key: &str) -> Result<Option<Versions>, String> {
    json.get(key)
        .and_then(Json::text)
        .map(|text| Versions::parse(&text))
        .transpose()
}

fn required(json: &Json, key: &str) -> Result<String, String> {
    json.get(key).and_then(Json::text).ok_or_else(|| format!("no {key}"))
}

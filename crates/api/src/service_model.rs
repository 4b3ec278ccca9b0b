//! AWS's service models as facts: operations, their routes, the constraints of their input, and the names
//! of the Query protocol. Generated into `model/<service>.json` by `model/generate.py`; what a service was
//! recorded to do otherwise is laid over it from `model/*-recorded.json`, and what SQS's model no
//! longer says from `model/sqs-query.json`.
//!
//! Deliberately not here: how constraints are applied and worded (`constraint`), how a path finds
//! its operation (`route`), how documents are read and written (`wire`).

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::pattern::Pattern;

/// Text out of the embedded files.
pub(crate) type Text = Box<str>;

/// Lambda's, read at the first use. [`Api::new`](crate::Api::new) is that.
pub(crate) static MODEL: LazyLock<ServiceModel> = LazyLock::new(|| {
    let recorded = include_str!("../model/lambda-recorded.json");
    ServiceModel::read(include_str!("../model/lambda.json")).recorded(recorded)
});
/// SQS's.
pub(crate) static SQS: LazyLock<ServiceModel> = LazyLock::new(|| {
    let names = include_str!("../model/sqs-query.json");
    let recorded = include_str!("../model/sqs-recorded.json");
    ServiceModel::read(include_str!("../model/sqs.json")).named(names).recorded(recorded)
});
/// CloudWatch Logs'.
pub(crate) static LOGS: LazyLock<ServiceModel> =
    LazyLock::new(|| ServiceModel::read(include_str!("../model/logs.json")));
/// CloudWatch's.
pub(crate) static CLOUDWATCH: LazyLock<ServiceModel> =
    LazyLock::new(|| ServiceModel::read(include_str!("../model/cloudwatch.json")));
/// SNS's.
pub(crate) static SNS: LazyLock<ServiceModel> = LazyLock::new(|| {
    let recorded = include_str!("../model/sns-recorded.json");
    ServiceModel::read(include_str!("../model/sns.json")).recorded(recorded)
});
/// IAM's.
pub(crate) static IAM: LazyLock<ServiceModel> =
    LazyLock::new(|| ServiceModel::read(include_str!("../model/iam.json")));
/// STS's.
pub(crate) static STS: LazyLock<ServiceModel> =
    LazyLock::new(|| ServiceModel::read(include_str!("../model/sts.json")));

pub(crate) struct ServiceModel {
    /// Where it is from, with the version.
    pub(crate) source: String,
    pub(crate) operations: Vec<Operation>,
    shapes: Vec<Shape>,
    ids: HashMap<Text, ShapeId>,
}

/// One operation. `name` decides what is done; an operation lambkin does not do is known by name.
pub(crate) struct Operation {
    pub(crate) name: Text,
    pub(crate) method: Text,
    /// With `{Label}` segments and, for a few operations, a fixed query.
    pub(crate) uri: Text,
    pub(crate) input: Option<ShapeId>,
    /// Where the protocol writes it from here.
    pub(crate) output: Option<ShapeId>,
}

/// Index of a shape in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShapeId(usize);

pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) pattern: Option<Pattern>,
    /// Empty where any value goes.
    pub(crate) values: Vec<Text>,
    /// Never repeated in a message.
    pub(crate) sensitive: bool,
    pub(crate) wires: Wires,
}

/// What the Query protocol calls what a list or a map has.
#[derive(Default)]
pub(crate) struct Wires {
    /// A list's member, or a map's key and value. Empty: `member`, or `key` and `value`.
    pub(crate) names: Vec<Text>,
    /// The entries stand where the list or map would, under a name of their own.
    pub(crate) flat: bool,
    /// The name of a flat map's entries.
    pub(crate) entry: Option<Text>,
}

pub(crate) enum Kind {
    Text,
    Integer,
    Double,
    Boolean,
    Blob,
    Timestamp,
    List(ShapeId),
    Map { key: ShapeId, value: ShapeId },
    Structure(Vec<Member>),
}

pub(crate) struct Member {
    pub(crate) name: Text,
    pub(crate) shape: ShapeId,
    pub(crate) location: Location,
    pub(crate) required: bool,
}

/// Where a member of an input stands in the request.
pub(crate) enum Location {
    /// A member of the JSON body.
    Body,
    /// The body itself.
    Payload,
    Uri(Text),
    Header(Text),
    Query(Text),
}

impl ServiceModel {
    pub(crate) fn shape(&self, id: ShapeId) -> &Shape {
        &self.shapes[id.0]
    }

    pub(crate) fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| *operation.name == *name)
    }

    /// The members of an operation's input.
    pub(crate) fn members<'m>(&'m self, operation: &Operation) -> &'m [Member] {
        match operation.input.map(|id| &self.shape(id).kind) {
            Some(Kind::Structure(members)) => members,
            None
            | Some(
                Kind::Text
                | Kind::Integer
                | Kind::Double
                | Kind::Boolean
                | Kind::Blob
                | Kind::Timestamp
                | Kind::List(_)
                | Kind::Map { .. },
            ) => &[],
        }
    }

    fn read(file: &str) -> Self {
        let file: File = serde_json::from_str(file).expect("generated");
        let ids: HashMap<Text, ShapeId> = file
            .shapes
            .iter()
            .enumerate()
            .map(|(index, shape)| (shape.name.clone(), ShapeId(index)))
            .collect();
        let operations = file
            .operations
            .into_iter()
            .map(|line| Operation {
                name: line.name,
                method: line.method,
                uri: line.uri,
                input: line.input.map(|name| ids[&name]),
                output: line.output.map(|name| ids[&name]),
            })
            .collect();
        let shapes = file.shapes.into_iter().map(|line| line.shape(&ids)).collect();
        Self { source: file.source, operations, shapes, ids }
    }

    fn recorded(mut self, recorded: &str) -> Self {
        let recorded: Recorded = serde_json::from_str(recorded).expect("committed");
        for over in recorded.shapes {
            let shape = &mut self.shapes[self.ids[&over.name].0];
            shape.max = over.max.or(shape.max);
            shape.values = over.values.unwrap_or(std::mem::take(&mut shape.values));
        }
        for over in recorded.members {
            self.narrow(&over);
        }
        for over in recorded.optional {
            let Kind::Structure(members) = &mut self.shapes[self.ids[&over.shape].0].kind else {
                unreachable!("members are a structure's")
            };
            let member = members.iter_mut().find(|member| member.name == over.member).expect("recorded");
            member.required = false;
        }
        self
    }

    fn named(mut self, names: &str) -> Self {
        let names: Named = serde_json::from_str(names).expect("committed");
        for line in names.names {
            let wires = Wires { names: line.wires, flat: true, entry: line.entry };
            self.shapes[self.ids[&line.shape].0].wires = wires;
        }
        self
    }

    /// Gives one operation's member a shape of its own.
    fn narrow(&mut self, over: &RecordedMember) {
        let input = self.operation(&over.operation).and_then(|operation| operation.input).expect("recorded");
        let own = ShapeId(self.shapes.len());
        let Kind::Structure(members) = &mut self.shapes[input.0].kind else { unreachable!("an input") };
        let member = members.iter_mut().find(|member| member.name == over.member).expect("recorded");
        let before = std::mem::replace(&mut member.shape, own);
        let before = &self.shapes[before.0];
        self.shapes.push(Shape {
            kind: Kind::Text,
            min: before.min,
            max: Some(over.max),
            pattern: before.pattern.as_ref().map(|pattern| Pattern::new(pattern.text().into())),
            values: before.values.clone(),
            sensitive: before.sensitive,
            wires: Wires::default(),
        });
    }
}

#[derive(Deserialize)]
struct File {
    source: String,
    operations: Vec<OperationLine>,
    shapes: Vec<ShapeLine>,
}

#[derive(Deserialize)]
struct OperationLine {
    name: Text,
    method: Text,
    uri: Text,
    input: Option<Text>,
    output: Option<Text>,
}

#[derive(Deserialize)]
struct ShapeLine {
    name: Text,
    r#type: Text,
    min: Option<f64>,
    max: Option<f64>,
    pattern: Option<Text>,
    #[serde(default, rename = "enum")]
    values: Vec<Text>,
    #[serde(default)]
    sensitive: bool,
    member: Option<Text>,
    key: Option<Text>,
    value: Option<Text>,
    #[serde(default)]
    members: Vec<MemberLine>,
    #[serde(default)]
    wires: Vec<Text>,
    #[serde(default)]
    flat: bool,
}

#[derive(Deserialize)]
struct MemberLine {
    name: Text,
    shape: Text,
    r#in: Option<Text>,
    wire: Option<Text>,
    #[serde(default)]
    required: bool,
}

#[derive(Deserialize)]
struct Recorded {
    #[serde(default)]
    shapes: Vec<RecordedShape>,
    #[serde(default)]
    members: Vec<RecordedMember>,
    #[serde(default)]
    optional: Vec<RecordedOptional>,
}

/// What may be missing, or is missed in other words than a constraint's.
#[derive(Deserialize)]
struct RecordedOptional {
    shape: Text,
    member: Text,
}

#[derive(Deserialize)]
struct RecordedShape {
    name: Text,
    max: Option<f64>,
    #[serde(rename = "enum")]
    values: Option<Vec<Text>>,
}

#[derive(Deserialize)]
struct RecordedMember {
    operation: Text,
    member: Text,
    max: f64,
}

#[derive(Deserialize)]
struct Named {
    names: Vec<NamedShape>,
}

#[derive(Deserialize)]
struct NamedShape {
    shape: Text,
    wires: Vec<Text>,
    entry: Option<Text>,
}

impl ShapeLine {
    fn shape(self, ids: &HashMap<Text, ShapeId>) -> Shape {
        let id = |name: Option<Text>| ids[&name.expect("generated")];
        let kind = match &*self.r#type {
            "string" => Kind::Text,
            "integer" | "long" => Kind::Integer,
            "double" => Kind::Double,
            "boolean" => Kind::Boolean,
            "blob" => Kind::Blob,
            "timestamp" => Kind::Timestamp,
            "list" => Kind::List(id(self.member)),
            "map" => Kind::Map { key: id(self.key), value: id(self.value) },
            "structure" => Kind::Structure(self.members.into_iter().map(|line| line.member(ids)).collect()),
            other => unreachable!("generated type {other}"),
        };
        Shape {
            kind,
            min: self.min,
            max: self.max,
            pattern: self.pattern.map(Pattern::new),
            values: self.values,
            sensitive: self.sensitive,
            wires: Wires { names: self.wires, flat: self.flat, entry: None },
        }
    }
}

impl MemberLine {
    fn member(self, ids: &HashMap<Text, ShapeId>) -> Member {
        let wire = self.wire.unwrap_or_default();
        let location = match self.r#in.as_deref() {
            None => Location::Body,
            Some("payload") => Location::Payload,
            Some("uri") => Location::Uri(wire),
            Some("header") => Location::Header(wire),
            Some("query") => Location::Query(wire),
            Some(other) => unreachable!("generated location {other}"),
        };
        Member { name: self.name, shape: ids[&self.shape], location, required: self.required }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_there_and_the_recorded_deviations_hold() {
        assert!(MODEL.operations.len() >= 90);
        let bounds = |operation: &str, member: &str| {
            let operation = MODEL.operation(operation).unwrap();
            let member = MODEL.members(operation).iter().find(|each| *each.name == *member).unwrap();
            let shape = MODEL.shape(member.shape);
            (shape.max, shape.values.len())
        };
        for (operation, member, expected) in [
            ("CreateFunction", "FunctionName", (Some(140.0), 0)),
            ("DeleteFunction", "FunctionName", (Some(140.0), 0)),
            ("GetFunction", "FunctionName", (Some(170.0), 0)),
            ("Invoke", "FunctionName", (Some(170.0), 0)),
            ("Invoke", "ClientContext", (Some(3583.0), 0)),
            ("CreateFunction", "Runtime", (None, 0)),
            ("CreateFunction", "PackageType", (None, 2)),
        ] {
            assert_eq!(bounds(operation, member), expected, "{operation} {member}");
        }
    }

    #[test]
    #[ignore = "a measurement, not a promise"]
    fn measure_reading() {
        let start = std::time::Instant::now();
        let model = ServiceModel::read(include_str!("../model/lambda.json"));
        println!("read {} shapes in {:?}", model.shapes.len(), start.elapsed());
    }
}

//! A graph under construction. Nodes are appended in topological order; weights are only declared, and
//! made when the file is written, so that a graph of many gigabytes needs the memory of one weight.

use std::collections::HashSet;

use super::proto::{
    AttributeKind, AttributeProto, DataType, DimensionProto, DimensionValue, NodeProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::error::{Error, Result};

/// Domain of ONNX Runtime's own operators.
pub const MICROSOFT: &str = "com.microsoft";

/// One axis of a declared shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dim<'s> {
    /// Known size.
    Size(usize),
    /// Named axis, decided when the graph runs.
    Name(&'s str),
}

/// Name, element type and shape of a constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorDecl {
    /// Name in the graph.
    pub name: String,
    /// Element type.
    pub dtype: DataType,
    /// Shape.
    pub dims: Vec<usize>,
}

impl TensorDecl {
    /// Size of the elements in bytes.
    pub fn bytes(&self) -> u64 {
        self.dims.iter().map(|&d| d as u64).product::<u64>() * self.dtype.size_bytes()
    }
}

/// Makes the little-endian bytes of the tensors of one group, in order.
pub(crate) type MakeTensors<'w> = Box<dyn FnOnce() -> Result<Vec<Vec<u8>>> + 'w>;

/// Constants that are made together, such as packed weights with their scales.
pub(crate) struct TensorGroup<'w> {
    pub(crate) decls: Vec<TensorDecl>,
    pub(crate) make: MakeTensors<'w>,
}

/// A graph under construction; `'w` is the life of the weights that it reads while it is written.
pub struct Graph<'w> {
    pub(crate) name: String,
    pub(crate) nodes: Vec<NodeProto>,
    pub(crate) inputs: Vec<ValueInfoProto>,
    pub(crate) outputs: Vec<ValueInfoProto>,
    pub(crate) value_info: Vec<ValueInfoProto>,
    pub(crate) groups: Vec<TensorGroup<'w>>,
    constants: HashSet<String>,
}

impl<'w> Graph<'w> {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Graph {
            name: name.to_string(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            value_info: Vec::new(),
            groups: Vec::new(),
            constants: HashSet::new(),
        }
    }

    /// Declares an input and returns its name.
    pub fn input(&mut self, name: &str, dtype: DataType, dims: &[Dim<'_>]) -> String {
        self.inputs.push(value_info(name, dtype, dims));
        name.to_string()
    }

    /// Declares that the value `name` is an output.
    pub fn output(&mut self, name: &str, dtype: DataType, dims: &[Dim<'_>]) {
        self.outputs.push(value_info(name, dtype, dims));
    }

    /// States the type of an inner value, for outputs of operators that shape inference does not know.
    pub fn annotate(&mut self, name: &str, dtype: DataType, dims: &[Dim<'_>]) {
        self.value_info.push(value_info(name, dtype, dims));
    }

    /// Appends a standard operator with one output, named after the node's path, and returns that name.
    pub fn op(&mut self, op_type: &str, path: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = format!("{path}/output");
        self.op_named("", op_type, path, inputs, &[&output], attributes);
        output
    }

    /// Appends a standard operator whose one output has the given name.
    pub fn op_to(&mut self, op_type: &str, path: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) {
        self.op_named("", op_type, path, inputs, &[output], attributes);
    }

    /// Appends an operator of any domain; empty names stand for optional values that are left out.
    pub fn op_named(
        &mut self,
        domain: &str,
        op_type: &str,
        path: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|s| s.to_string()).collect(),
            output: outputs.iter().map(|s| s.to_string()).collect(),
            name: path.to_string(),
            op_type: op_type.to_string(),
            attribute: attributes,
            domain: domain.to_string(),
        });
    }

    /// Gives the one output of the last node another name, such as that of an output of the graph.
    pub fn rename_last(&mut self, output: &str) -> String {
        if let Some(node) = self.nodes.last_mut() {
            node.output = vec![output.to_string()];
        }
        output.to_string()
    }

    /// A 64-bit integer vector; asking twice for the same name gives the first one.
    pub fn ints(&mut self, name: &str, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, DataType::Int64, &[values.len()], bytes)
    }

    /// A float scalar; asking twice for the same name gives the first one.
    pub fn scalar(&mut self, name: &str, value: f32) -> String {
        self.constant(name, DataType::Float, &[], value.to_le_bytes().to_vec())
    }

    fn constant(&mut self, name: &str, dtype: DataType, dims: &[usize], bytes: Vec<u8>) -> String {
        if self.constants.insert(name.to_string()) {
            let decl = TensorDecl { name: name.to_string(), dtype, dims: dims.to_vec() };
            self.groups.push(TensorGroup { decls: vec![decl], make: Box::new(move || Ok(vec![bytes])) });
        }
        name.to_string()
    }

    /// Declares a float32 weight that `make` fills when the file is written.
    pub fn weight(&mut self, name: &str, dims: &[usize], make: impl FnOnce() -> Result<Vec<f32>> + 'w) -> String {
        self.weight_of(DataType::Float, name, dims, make)
    }

    /// [`weight`](Self::weight) in float32 or float16.
    pub fn weight_of(
        &mut self,
        dtype: DataType,
        name: &str,
        dims: &[usize],
        make: impl FnOnce() -> Result<Vec<f32>> + 'w,
    ) -> String {
        let decl = TensorDecl { name: name.to_string(), dtype, dims: dims.to_vec() };
        self.weights(vec![decl], move || Ok(vec![float_bytes(dtype, make()?)]));
        name.to_string()
    }

    /// Declares constants of any type that `make` fills together when the file is written.
    pub fn weights(&mut self, decls: Vec<TensorDecl>, make: impl FnOnce() -> Result<Vec<Vec<u8>>> + 'w) {
        self.constants.extend(decls.iter().map(|d| d.name.clone()));
        self.groups.push(TensorGroup { decls, make: Box::new(make) });
    }

    /// Checks that names are unique, that every input of a node is made before it, and that outputs exist.
    pub(crate) fn check(&self) -> Result<()> {
        let mut known: HashSet<&str> = HashSet::new();
        let mut nodes: HashSet<&str> = HashSet::new();
        let constants = self.groups.iter().flat_map(|g| &g.decls).map(|d| d.name.as_str());
        for name in self.inputs.iter().map(|i| i.name.as_str()).chain(constants) {
            if !known.insert(name) {
                return Err(Error::internal(format!("graph {}: {name} is declared twice", self.name)));
            }
        }
        for node in &self.nodes {
            if !nodes.insert(&node.name) {
                return Err(Error::internal(format!("graph {}: two nodes {}", self.name, node.name)));
            }
            if let Some(missing) = node.input.iter().find(|i| !i.is_empty() && !known.contains(i.as_str())) {
                return Err(Error::internal(format!(
                    "graph {}: {} reads {missing} before it is made",
                    self.name, node.name
                )));
            }
            for output in node.output.iter().filter(|o| !o.is_empty()) {
                if !known.insert(output) {
                    return Err(Error::internal(format!("graph {}: {output} is made twice", self.name)));
                }
            }
        }
        match self.outputs.iter().find(|o| !known.contains(o.name.as_str())) {
            Some(output) => {
                Err(Error::internal(format!("graph {}: nothing makes the output {}", self.name, output.name)))
            }
            None => Ok(()),
        }
    }
}

fn value_info(name: &str, dtype: DataType, dims: &[Dim<'_>]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|d| {
            let value = match d {
                Dim::Size(n) => DimensionValue::Value(*n as i64),
                Dim::Name(n) => DimensionValue::Param(n.to_string()),
            };
            DimensionProto { value: Some(value) }
        })
        .collect();
    let tensor = TensorTypeProto { elem_type: Some(dtype as i32), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.to_string(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}

/// Little-endian bytes of float32 values.
pub fn f32_bytes(values: Vec<f32>) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Little-endian bytes of values kept as float32, or rounded to float16.
pub fn float_bytes(dtype: DataType, values: Vec<f32>) -> Vec<u8> {
    match dtype {
        DataType::Float16 => values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect(),
        _ => f32_bytes(values),
    }
}

/// An integer attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    let kind = Some(AttributeKind::Int as i32);
    AttributeProto { name: name.to_string(), i: Some(value), kind, ..Default::default() }
}

/// A list of integers as an attribute.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let kind = Some(AttributeKind::Ints as i32);
    AttributeProto { name: name.to_string(), ints: values.to_vec(), kind, ..Default::default() }
}

/// A float attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    let kind = Some(AttributeKind::Float as i32);
    AttributeProto { name: name.to_string(), f: Some(value), kind, ..Default::default() }
}

/// A string attribute.
pub fn string(name: &str, value: &str) -> AttributeProto {
    let kind = Some(AttributeKind::String as i32);
    AttributeProto { name: name.to_string(), s: Some(value.as_bytes().to_vec()), kind, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_read_before_it_is_made_is_refused() {
        let mut g = Graph::new("g");
        g.input("x", DataType::Float, &[Dim::Name("b")]);
        g.op("Relu", "/a", &["/b/output"], vec![]);
        g.op("Relu", "/b", &["x"], vec![]);
        let message = g.check().unwrap_err().to_string();
        assert!(message.contains("/a reads /b/output"), "{message}");
    }

    #[test]
    fn an_output_that_nothing_makes_is_refused() {
        let mut g = Graph::new("g");
        g.input("x", DataType::Float, &[Dim::Name("b")]);
        g.output("y", DataType::Float, &[Dim::Name("b")]);
        assert!(g.check().is_err());
        g.op_to("Relu", "/y", &["x"], "y", vec![]);
        g.check().unwrap();
        g.op_to("Relu", "/z", &["x"], "y", vec![]);
        assert!(g.check().unwrap_err().to_string().contains("made twice"));
    }

    #[test]
    fn constants_are_shared_by_name() {
        let mut g = Graph::new("g");
        assert_eq!(g.ints("axes", &[1]), "axes");
        assert_eq!(g.ints("axes", &[1]), "axes");
        assert_eq!(g.groups.len(), 1);
        assert_eq!(g.groups[0].decls[0].bytes(), 8);
    }
}

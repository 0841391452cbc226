//! Writing a graph to disk, one weight at a time.

use std::io::Write;
use std::path::Path;

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::graph::{Graph, TensorDecl};
use super::proto::{DataLocation, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto};
use super::{IR_VERSION, MICROSOFT, OPSET};
use crate::atomic::write_atomically;
use crate::error::{Error, Result};

/// Alignment of a tensor in the external data file, so that it can be mapped into memory as it is.
pub const EXTERNAL_ALIGNMENT: u64 = 4096;

/// Protobuf ends at 2 GiB; this leaves room for nodes and names.
const LARGEST_INLINE_BYTES: u64 = 2_000_000_000;

/// Constants below this size stay in the model file, where shape inference can read them.
const SMALL_BYTES: u64 = 1024;

const TAG_MODEL_GRAPH: u32 = 7;
const TAG_GRAPH_INITIALIZER: u32 = 5;
const TAG_TENSOR_RAW_DATA: u32 = 9;

/// Where weights go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    /// Weights above this sum go into a second file; 1.5 GB by default. Above 2 GB they do in any case,
    /// because protobuf ends at 2 GiB.
    pub external_above_bytes: u64,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions { external_above_bytes: 1_500_000_000 }
    }
}

/// Writes the graph to `path` and, if its weights are over the threshold, their elements to
/// `<file name>.data` beside it. Returns the names of the files written, the model first.
///
/// Both files appear whole or not at all; the data file comes first, so that a model never lacks its data.
///
/// # Errors
/// Whatever making a weight answers, and [`Error::Write`].
pub fn write(graph: Graph<'_>, path: &Path, options: &WriteOptions) -> Result<Vec<String>> {
    graph.check()?;
    let file_name = path
        .file_name()
        .and_then(|n| n.to_str())
        .ok_or_else(|| Error::internal(format!("{} is no file name", path.display())))?
        .to_string();
    let total: u64 = graph.groups.iter().flat_map(|g| &g.decls).map(TensorDecl::bytes).sum();
    if total <= options.external_above_bytes.min(LARGEST_INLINE_BYTES) {
        write_atomically(path, |out| write_inline(graph, path, out))?;
        return Ok(vec![file_name]);
    }
    let data_name = format!("{file_name}.data");
    let data_path = path.with_file_name(&data_name);
    let model = write_atomically(&data_path, |out| write_external(graph, &data_name, &data_path, out))?;
    write_atomically(path, |out| out.write_all(&model.encode_to_vec()).map_err(Error::write(path)))?;
    Ok(vec![file_name, data_name])
}

/// The model without its weights, and the weights.
fn shell(graph: Graph<'_>) -> (ModelProto, GraphProto, Vec<super::graph::TensorGroup<'_>>) {
    let uses_microsoft = graph.nodes.iter().any(|n| n.domain == MICROSOFT);
    let mut opset_import = vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }];
    if uses_microsoft {
        opset_import.push(OperatorSetIdProto { domain: Some(MICROSOFT.to_string()), version: Some(1) });
    }
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: env!("CARGO_PKG_NAME").to_string(),
        producer_version: env!("CARGO_PKG_VERSION").to_string(),
        graph: None,
        opset_import,
        metadata_props: Vec::new(),
    };
    let proto = GraphProto {
        node: graph.nodes,
        name: graph.name,
        initializer: Vec::new(),
        input: graph.inputs,
        output: graph.outputs,
        value_info: graph.value_info,
    };
    (model, proto, graph.groups)
}

fn header(decl: &TensorDecl) -> TensorProto {
    TensorProto {
        dims: decl.dims.iter().map(|&d| d as i64).collect(),
        data_type: Some(decl.dtype as i32),
        name: decl.name.clone(),
        ..Default::default()
    }
}

fn check_bytes(decls: &[TensorDecl], tensors: &[Vec<u8>]) -> Result<()> {
    let fits = decls.len() == tensors.len() && decls.iter().zip(tensors).all(|(d, t)| d.bytes() == t.len() as u64);
    if fits { Ok(()) } else { Err(Error::internal(format!("{}: made with another size than declared", decls[0].name))) }
}

/// Encodes by hand what prost would encode from a message that holds every weight at once.
fn write_inline(graph: Graph<'_>, path: &Path, out: &mut impl Write) -> Result<()> {
    let (model, proto, groups) = shell(graph);
    let raw_len = |bytes: u64| 1 + encoded_len_varint(bytes) as u64 + bytes;
    let tensor_len = |d: &TensorDecl| header(d).encoded_len() as u64 + raw_len(d.bytes());
    let weights_len: u64 = groups
        .iter()
        .flat_map(|g| &g.decls)
        .map(|d| 1 + encoded_len_varint(tensor_len(d)) as u64 + tensor_len(d))
        .sum();
    let proto = proto.encode_to_vec();

    let mut head = model.encode_to_vec();
    encode_key(TAG_MODEL_GRAPH, WireType::LengthDelimited, &mut head);
    encode_varint(proto.len() as u64 + weights_len, &mut head);
    out.write_all(&head).map_err(Error::write(path))?;
    out.write_all(&proto).map_err(Error::write(path))?;
    for group in groups {
        let tensors = (group.make)()?;
        check_bytes(&group.decls, &tensors)?;
        for (decl, bytes) in group.decls.iter().zip(tensors) {
            let mut head = Vec::new();
            encode_key(TAG_GRAPH_INITIALIZER, WireType::LengthDelimited, &mut head);
            encode_varint(tensor_len(decl), &mut head);
            head.extend_from_slice(&header(decl).encode_to_vec());
            encode_key(TAG_TENSOR_RAW_DATA, WireType::LengthDelimited, &mut head);
            encode_varint(bytes.len() as u64, &mut head);
            out.write_all(&head).map_err(Error::write(path))?;
            out.write_all(&bytes).map_err(Error::write(path))?;
        }
    }
    Ok(())
}

fn write_external(graph: Graph<'_>, data_name: &str, path: &Path, out: &mut impl Write) -> Result<ModelProto> {
    let (mut model, mut proto, groups) = shell(graph);
    let mut end = 0u64;
    for group in groups {
        let tensors = (group.make)()?;
        check_bytes(&group.decls, &tensors)?;
        for (decl, bytes) in group.decls.iter().zip(tensors) {
            let mut tensor = header(decl);
            if (bytes.len() as u64) < SMALL_BYTES {
                tensor.raw_data = Some(bytes);
            } else {
                let offset = end.next_multiple_of(EXTERNAL_ALIGNMENT);
                let padding = (offset - end) as usize;
                out.write_all(&[0; EXTERNAL_ALIGNMENT as usize][..padding]).map_err(Error::write(path))?;
                out.write_all(&bytes).map_err(Error::write(path))?;
                end = offset + bytes.len() as u64;
                let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_string(), value };
                tensor.external_data = vec![
                    entry("location", data_name.to_string()),
                    entry("offset", offset.to_string()),
                    entry("length", bytes.len().to_string()),
                ];
                tensor.data_location = Some(DataLocation::External as i32);
            }
            proto.initializer.push(tensor);
        }
    }
    model.graph = Some(proto);
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::super::{DataType, Dim};
    use super::*;

    fn graph<'w>(values: &'w [f32]) -> Graph<'w> {
        let mut g = Graph::new("scale");
        g.input("x", DataType::Float, &[Dim::Name("b"), Dim::Size(values.len())]);
        g.weight("w", &[values.len()], move || Ok(values.to_vec()));
        g.scalar("half", 0.5);
        let y = g.op("Mul", "/a/Mul", &["x", "w"], vec![]);
        g.op_to("Mul", "/b/Mul", &[&y, "half"], "y", vec![]);
        g.output("y", DataType::Float, &[Dim::Name("b"), Dim::Size(values.len())]);
        g
    }

    #[test]
    fn the_streamed_file_is_the_message() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.onnx");
        let values: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let files = write(graph(&values), &path, &WriteOptions::default()).unwrap();
        assert_eq!(files, ["m.onnx"]);
        let bytes = std::fs::read(&path).unwrap();
        let model = ModelProto::decode(bytes.as_slice()).unwrap();
        assert_eq!((model.ir_version, model.opset_import.len()), (Some(IR_VERSION), 1));
        let g = model.graph.clone().unwrap();
        assert_eq!((g.node.len(), g.input.len(), g.output[0].name.as_str()), (2, 1, "y"));
        let raw = g.initializer[0].raw_data.as_ref().unwrap();
        assert_eq!(raw.chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect::<Vec<_>>(), values);
        assert_eq!(g.initializer[1].dims, Vec::<i64>::new());
        assert_eq!(model.encoded_len(), bytes.len());
    }

    #[test]
    fn big_weights_go_beside_the_model_aligned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.onnx");
        let (a, b) = (vec![1.5f32; 300], vec![2.5f32; 500]);
        let mut g = graph(&a);
        let second = b.clone();
        g.weight("w2", &[500], move || Ok(second));
        let files = write(g, &path, &WriteOptions { external_above_bytes: 100 }).unwrap();
        assert_eq!(files, ["m.onnx", "m.onnx.data"]);
        let model = ModelProto::decode(std::fs::read(&path).unwrap().as_slice()).unwrap();
        let data = std::fs::read(dir.path().join("m.onnx.data")).unwrap();
        let tensors = model.graph.unwrap().initializer;
        assert!(tensors[1].raw_data.is_some(), "small constants stay in the model");
        for (tensor, expected) in [(&tensors[0], &a), (&tensors[2], &b)] {
            let get = |k: &str| tensor.external_data.iter().find(|e| e.key == k).unwrap().value.clone();
            let (offset, length): (usize, usize) = (get("offset").parse().unwrap(), get("length").parse().unwrap());
            assert_eq!((offset % 4096, get("location").as_str()), (0, "m.onnx.data"));
            let floats: Vec<f32> =
                data[offset..offset + length].chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
            assert_eq!(&floats, expected);
        }
    }

    #[test]
    fn a_weight_of_another_size_than_declared_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.onnx");
        let mut g = Graph::new("g");
        g.weight("w", &[3], || Ok(vec![1.0; 2]));
        assert!(write(g, &path, &WriteOptions::default()).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

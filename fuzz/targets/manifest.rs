//! The manifest beside a graph of another program.

#![no_main]

use std::cell::LazyCell;

use af1::model::GraphFile;
use af1_fuzz::Scratch;
use libfuzzer_sys::fuzz_target;

const GRAPH: &[u8] = include_bytes!("../corpus/onnx/contract");

thread_local! {
    static FOLDER: LazyCell<Scratch> = LazyCell::new(|| {
        let folder = Scratch::new("manifest");
        folder.write("graph.onnx", GRAPH, 0);
        folder
    });
}

fuzz_target!(|text: &str| {
    FOLDER.with(|folder| {
        folder.write("graph.toml", text.as_bytes(), 0);
        let _ = GraphFile::open(&folder.path("graph.onnx")).and_then(|file| file.kept());
    });
});

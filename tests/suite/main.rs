//! The integration tests, one program: the ONNX Runtime library is loaded once.

mod fixtures;
mod parity;

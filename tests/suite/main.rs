//! The integration tests, one program: the ONNX Runtime library is loaded once.

mod alternatives;
mod bad_input;
mod choices;
mod compiled;
mod devices;
mod experiments;
mod export;
mod fetching;
mod fixtures;
mod foreign;
mod gate;
mod html;
mod hub;
mod kept;
mod origins;
mod parity;
mod planted;
mod preflight;
mod program;
mod records;
mod statistics;
mod tokenizers;

//! GGUF files of every family, made by llama.cpp's own converter (`fixtures/reference/gguf_families.py`), against what transformers makes of
//! the Hugging Face folders that they were made from and what llama.cpp makes of the files; and what they must not say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use af1::error::exit;
use af1::fetch::Cache;
use af1::model::{BosChoice, Model, ModelSpec};
use rstest::rstest;

use super::fixtures::{PARITY, distance, floats, ints, json, known_families, load, path};
use super::parity::{equals, forward, ids};

/// Families whose GGUF files are left out: llama.cpp and its converter lack `GPTJForCausalLM`, and OLMo 3 goes by the name of OLMo 2
/// there.
const WITHOUT: [&str; 2] = ["gptj", "olmo3"];

/// llama.cpp looks GELU up in a table of 16-bit floats, and takes its approximation for the function itself.
const TABLE: f32 = 5e-3;

/// llama.cpp rounds what it multiplies quantised weights with to 8 bits; of the largest logit.
const ROUNDED: f32 = 0.02;

/// What is said of the files.
fn expected() -> serde_json::Value {
    json("reference/tiny-gguf/expected.json")["families"].clone()
}

/// The files.
fn files() -> Vec<String> {
    let files = std::fs::read_dir(path("reference/tiny-gguf")).unwrap();
    let paths = files.flatten().map(|file| file.path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "gguf"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn file(name: &str) -> PathBuf {
    path("reference/tiny-gguf").join(format!("{name}.gguf"))
}

fn spec(model: &Model) -> ModelSpec {
    model.decoder("").unwrap().spec.clone()
}

/// Every family that is read from a folder is read from a GGUF file, or known to have none.
#[test]
fn every_family_has_a_file() {
    let expected = expected();
    let names = files();
    let told: Vec<&String> = expected.as_object().unwrap().keys().collect();
    let told: BTreeSet<&String> = told.into_iter().collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>(), told);
    let of = |name: &String| {
        expected[name]["config"]["model_type"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let mut here: BTreeSet<String> = names.iter().map(of).collect();
    for family in WITHOUT {
        assert!(
            here.insert(family.to_owned()),
            "{family} has a file after all"
        );
    }
    assert_eq!(here, known_families());
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
enum Compared {
    /// The shape, with that of the configuration that transformers wrote.
    Shape,
    /// Every stream and the logits, with transformers.
    Streams,
    /// The logits, with llama.cpp.
    LlamaCpp,
    /// The tokens of texts, with llama.cpp.
    Tokens,
    /// What stands before a text, with llama.cpp.
    Front,
    /// Every stream and the logits of the folder that is written of the file, read by the configuration that transformers wrote.
    Folder,
}

#[rstest]
fn files_equal(
    #[values(
        Compared::Shape,
        Compared::Streams,
        Compared::LlamaCpp,
        Compared::Tokens,
        Compared::Front,
        Compared::Folder
    )]
    what: Compared,
) {
    let expected = expected();
    for name in files() {
        compare(&name, what, &expected[&name]);
    }
}

fn compare(name: &str, what: Compared, case: &serde_json::Value) {
    let (model, mut engine) = load(&file(name).to_string_lossy());
    match what {
        Compared::Shape => {
            let folder = folder_of(&model, case);
            let (of_folder, _) = load(&folder.path().to_string_lossy());
            let mut of_file = spec(&model);
            // A Mistral is a Llama there.
            if name == "mistral" {
                assert_eq!(of_file.family, "llama");
                of_file.family = "mistral";
            }
            assert_eq!(of_file, spec(&of_folder), "{name}");
        }
        Compared::Streams => equals_transformers(name, &mut engine, case),
        Compared::LlamaCpp => {
            let theirs: Vec<f32> = all(&case["llama_cpp"]);
            let (_, logits) = forward(&mut engine, ids(&case["ids"]));
            let apart = distance(logits.as_slice().unwrap(), &theirs);
            let largest = theirs.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
            let silu = case["config"]["hidden_act"] == "silu";
            let bound = match (case.get("kinds"), silu) {
                (Some(_), _) => ROUNDED * largest,
                (None, true) => PARITY,
                (None, false) => TABLE,
            };
            assert!(
                apart < bound,
                "{name}: llama.cpp differs by {apart}, at most {bound}"
            );
        }
        Compared::Tokens => {
            let texts = case["texts"].as_object().unwrap();
            assert!(texts.len() >= 12);
            for (text, theirs) in texts {
                let ours = model.tokenizer.encode(text).unwrap();
                let ours: Vec<i64> = ours.iter().map(|token| i64::from(token.id)).collect();
                assert_eq!(ours, ints(theirs), "{name}: {text:?}");
            }
        }
        Compared::Front => {
            let ours = model.bos().map(i64::from);
            assert_eq!(ours, case["front"].as_i64(), "{name}");
        }
        Compared::Folder => {
            let folder = folder_of(&model, case);
            let (_, mut engine) = load(&folder.path().to_string_lossy());
            equals_transformers(name, &mut engine, case);
        }
    }
}

/// All numbers of some lists.
fn all(lists: &serde_json::Value) -> Vec<f32> {
    lists.as_array().unwrap().iter().flat_map(floats).collect()
}

/// The folder that is written of a model, with the configuration that transformers wrote.
fn folder_of(model: &Model, case: &serde_json::Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    model.write_folder(folder.path()).unwrap();
    let config = folder.path().join("config.json");
    let ours: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&config).unwrap()).unwrap();
    if case["config"]["model_type"] != "mistral" {
        assert_eq!(ours["architectures"], case["config"]["architectures"]);
    }
    std::fs::write(&config, case["config"].to_string()).unwrap();
    folder
}

/// Streams where they are told, and the logits.
fn equals_transformers(name: &str, engine: &mut af1::runtime::Engine, case: &serde_json::Value) {
    if case.get("resid").is_some() {
        return equals(name, engine, case);
    }
    let (_, logits) = forward(engine, ids(&case["ids"]));
    let apart = distance(logits.as_slice().unwrap(), &all(&case["logits"]));
    assert!(apart < PARITY, "{name}: logits differ by {apart}");
}

/// A value of metadata, as the file has it.
#[derive(Clone, Debug, PartialEq)]
enum Put {
    Int(u32),
    Float(f32),
    Flag(bool),
    Word(&'static str),
    /// So many numbers.
    List(usize),
}

impl Put {
    /// The number of its type, and its bytes.
    fn bytes(&self) -> (u32, Vec<u8>) {
        let sized = |length: usize| (length as u64).to_le_bytes();
        match self {
            Self::Int(value) => (4, value.to_le_bytes().to_vec()),
            Self::Float(value) => (6, value.to_le_bytes().to_vec()),
            Self::Flag(value) => (7, vec![u8::from(*value)]),
            Self::Word(word) => (8, [&sized(word.len()), word.as_bytes()].concat()),
            Self::List(count) => {
                let begin = [&4u32.to_le_bytes()[..], &sized(*count)].concat();
                (9, [begin, vec![0; 4 * count]].concat())
            }
        }
    }
}

/// A GGUF file whose metadata can be changed. Tensors keep their places: these are counted from where they begin.
struct Edited {
    head: Vec<u8>,
    keys: Vec<(String, u32, Vec<u8>)>,
    directory: Vec<u8>,
    data: Vec<u8>,
}

/// Reads numbers and strings.
struct Reader<'a>(&'a [u8], usize);

impl Reader<'_> {
    fn u32(&mut self) -> u32 {
        self.1 += 4;
        u32::from_le_bytes(self.0[self.1 - 4..self.1].try_into().unwrap())
    }

    fn u64(&mut self) -> usize {
        self.1 += 8;
        u64::from_le_bytes(self.0[self.1 - 8..self.1].try_into().unwrap()) as usize
    }

    fn string(&mut self) -> String {
        let length = self.u64();
        self.1 += length;
        String::from_utf8(self.0[self.1 - length..self.1].to_vec()).unwrap()
    }

    fn skip(&mut self, kind: u32) {
        match kind {
            0 | 1 | 7 => self.1 += 1,
            2 | 3 => self.1 += 2,
            4..=6 => self.1 += 4,
            8 => drop(self.string()),
            9 => {
                let kind = self.u32();
                (0..self.u64()).for_each(|_| self.skip(kind));
            }
            _ => self.1 += 8,
        }
    }
}

impl Edited {
    fn read(name: &str) -> Self {
        let bytes = std::fs::read(file(name)).unwrap();
        let mut reader = Reader(&bytes, 8);
        let (tensors, keys) = (reader.u64(), reader.u64());
        let keys = (0..keys).map(|_| {
            let (key, kind, begin) = (reader.string(), reader.u32(), reader.1);
            reader.skip(kind);
            (key, kind, bytes[begin..reader.1].to_vec())
        });
        let keys = keys.collect();
        let begin = reader.1;
        for _ in 0..tensors {
            reader.string();
            let axes = reader.u32();
            reader.1 += 8 * axes as usize + 12;
        }
        Self {
            head: bytes[..16].to_vec(),
            keys,
            directory: bytes[begin..reader.1].to_vec(),
            data: bytes[reader.1.next_multiple_of(32)..].to_vec(),
        }
    }

    /// The whole key: that of the architecture, where the name has none.
    fn key(&self, name: &str) -> String {
        if name.starts_with("tokenizer.") || name.starts_with("general.") {
            return name.to_owned();
        }
        let (_, _, word) = &self.keys[0];
        format!("{}.{name}", String::from_utf8_lossy(&word[8..]))
    }

    /// Puts a value in place of another one, or at the end; takes it away where there is none.
    fn with(mut self, name: &str, value: Option<Put>) -> Self {
        let key = self.key(name);
        let at = self.keys.iter().position(|(of, ..)| *of == key);
        match (at, value.map(|value| value.bytes())) {
            (Some(at), None) => drop(self.keys.remove(at)),
            (Some(at), Some((kind, bytes))) => self.keys[at] = (key, kind, bytes),
            (None, None) => {}
            (None, Some((kind, bytes))) => self.keys.push((key, kind, bytes)),
        }
        self
    }

    fn write(&self, file: &Path) {
        let mut bytes = self.head.clone();
        bytes.extend((self.keys.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.keys {
            bytes.extend((key.len() as u64).to_le_bytes());
            bytes.extend(key.bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(value);
        }
        bytes.extend(&self.directory);
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend(&self.data);
        std::fs::write(file, bytes).unwrap();
    }

    /// What loading it says, and building its graph.
    fn loaded(&self) -> Result<(), af1::Error> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("edited.gguf");
        self.write(&file);
        let cache = Cache::at(folder.path().join("cache"));
        let model = Model::load(&file.to_string_lossy(), &BosChoice::Default, &cache)?;
        model.graph().map(|_| ())
    }
}

/// A file that is read and written again is the same.
#[test]
fn edited_files_are_the_files() {
    for name in files() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.gguf");
        Edited::read(&name).write(&copy);
        assert!(
            std::fs::read(copy).unwrap() == std::fs::read(file(&name)).unwrap(),
            "{name}"
        );
    }
}

/// Metadata of any family that are missing, not supported or contradict themselves: one error that names the file and the key, what was
/// found and expected, and what to do.
#[rstest]
#[case("block_count", None, &["no such key"])]
#[case("block_count", Some(Put::Int(0)), &["is 0", "1 to 10000"])]
#[case("block_count", Some(Put::Int(u32::MAX)), &["4294967295", "1 to 10000"])]
#[case("embedding_length", None, &["no such key"])]
#[case("embedding_length", Some(Put::Int(u32::MAX)), &["4294967295"])]
#[case("embedding_length", Some(Put::Word("16")), &["expected a size", "String"])]
#[case("feed_forward_length", None, &["no such key"])]
#[case("feed_forward_length", Some(Put::Int(0)), &["is 0"])]
#[case("feed_forward_length", Some(Put::List(2)), &["expected a size", "an array of 2 values"])]
#[case("context_length", None, &["no such key"])]
#[case("context_length", Some(Put::Int(u32::MAX)), &["4294967295"])]
#[case("attention.head_count", None, &["no such key"])]
#[case("attention.head_count", Some(Put::Int(0)), &["is 0"])]
#[case("attention.head_count", Some(Put::Int(3)), &["3"])]
#[case("attention.head_count_kv", Some(Put::Int(3)), &["is 3", "a divisor of", "4", "Hugging Face folder"])]
#[case("attention.head_count_kv", Some(Put::Int(0)), &["is 0"])]
#[case("attention.head_count_kv", Some(Put::List(2)), &["expected a size", "an array of 2 values"])]
#[case("attention.key_length", Some(Put::Int(7)), &["7", "an even number"])]
#[case("attention.value_length", Some(Put::Int(6)), &["is 6", "Hugging Face folder"])]
#[case("attention.causal", Some(Put::Flag(false)), &["false", "true"])]
#[case("expert_count", Some(Put::Int(8)), &["is 8", "supported: 0"])]
#[case("vocab_size", Some(Put::Int(7)), &["is 7", "as many as tokenizer.ggml.tokens has", "Hugging Face folder"])]
#[case("tokenizer.ggml.tokens", None, &["no such key"])]
#[case("tokenizer.ggml.tokens", Some(Put::List(0)), &["tokenizer.ggml.tokens"])]
#[case("tokenizer.ggml.token_type", Some(Put::List(2)), &["an array of 2 values", "as many as"])]
#[case("tokenizer.ggml.model", None, &["no such key"])]
#[case("tokenizer.ggml.model", Some(Put::Word("gemma4")), &["gemma4", "SentencePiece", "Hugging Face folder"])]
#[case("tokenizer.ggml.bos_token_id", Some(Put::Int(1 << 20)), &["1048576", "one of the"])]
#[case("general.architecture", Some(Put::Word("gptj")), &["\"gptj\"", "\"gemma3\"", "\"gptneox\"", "Hugging Face folder"])]
fn contradictions_are_refused(
    #[case] key: &str,
    #[case] value: Option<Put>,
    #[case] parts: &[&str],
) {
    for name in files() {
        let edited = Edited::read(&name).with(key, value.clone());
        refused(&name, &edited, key, parts);
    }
}

/// The same of keys that only some architectures have.
#[rstest]
#[case(&["gemma2", "gpt2", "gpt_neox"], "attention.head_count", Some(Put::Int(1 << 30)), &["1073741824"])]
#[case(&["llama", "phi3", "gemma3"], "attention.layer_norm_rms_epsilon", None, &["no such key"])]
#[case(&["llama", "gemma2"], "attention.layer_norm_rms_epsilon", Some(Put::Float(-1.0)), &["from 0 on"])]
#[case(&["gpt2", "gpt_neox"], "attention.layer_norm_epsilon", Some(Put::Float(f32::NAN)), &["from 0 on", "NaN"])]
#[case(&["gpt2", "gpt_neox"], "attention.head_count_kv", Some(Put::Int(2)), &["is 2", "as many as query heads"])]
#[case(&["llama", "phi3", "gpt_neox", "gemma3"], "rope.dimension_count", Some(Put::Int(3)), &["3 dimensions", "even"])]
#[case(&["llama", "phi3", "gpt_neox", "gemma3"], "rope.freq_base", Some(Put::Float(f32::NAN)), &["a positive number", "NaN"])]
#[case(&["qwen2", "phi3", "gpt_neox", "gemma3"], "rope.scaling.type", Some(Put::Word("yarn")), &["\"yarn\"", "\"linear\"", "Hugging Face folder"])]
#[case(&["gemma3", "gemma2"], "rope.scaling.factor", Some(Put::Float(-2.0)), &["-2", "a positive number"])]
#[case(&["qwen3", "phi3"], "rope.scaling.attn_factor", Some(Put::Float(2.0)), &["is 2", "supported: 1"])]
#[case(&["gemma3"], "attention.sliding_window_pattern", Some(Put::Int(0)), &["from 1 on"])]
#[case(&["gemma3"], "attention.sliding_window_pattern", Some(Put::List(6)), &["each of 6 layers"])]
#[case(&["gemma3"], "rope.freq_base_swa", Some(Put::Float(0.0)), &["a positive number"])]
#[case(&["gemma2"], "rope.freq_base_swa", Some(Put::Float(5.0)), &["is 5", "10000"])]
#[case(&["gemma2"], "attn_logit_softcapping", Some(Put::Float(-1.0)), &["a positive number"])]
#[case(&["gemma2", "gemma3"], "final_logit_softcapping", Some(Put::Word("30")), &["a positive number"])]
#[case(&["gemma2"], "attention.sliding_window", Some(Put::Int(0)), &["is 0", "from 1 on"])]
#[case(&["olmo2"], "attention.sliding_window", Some(Put::Int(32)), &["is 32", "OLMo 3"])]
#[case(&["llama", "qwen2", "olmo2", "gpt2", "gpt_neox"], "tokenizer.ggml.pre", Some(Put::Word("tekken")), &["\"tekken\"", "\"llama-bpe\"", "Hugging Face folder"])]
#[case(&["llama", "olmo2", "gpt2"], "tokenizer.ggml.pre", None, &["\"default\"", "\"gpt-2\""])]
#[case(&["llama", "gpt2"], "tokenizer.ggml.merges", None, &["no such key"])]
#[case(&["gemma2", "gemma3", "phi3", "mistral"], "tokenizer.ggml.scores", None, &["no such key"])]
#[case(&["gemma2", "gemma3", "phi3", "mistral"], "tokenizer.ggml.scores", Some(Put::List(5)), &["5 scores of 360 tokens", "Hugging Face folder"])]
fn contradictions_of_some_are_refused(
    #[case] names: &[&str],
    #[case] key: &str,
    #[case] value: Option<Put>,
    #[case] parts: &[&str],
) {
    for name in names {
        let edited = Edited::read(name).with(key, value.clone());
        // Lists say what they belong to.
        let named = if parts[0].contains("scores of") {
            "tokenizer.ggml"
        } else {
            key
        };
        refused(name, &edited, named, parts);
    }
}

/// Sizes that are not those of the tensors: the first tensor is named, with both shapes.
#[rstest]
#[case("feed_forward_length", "ffn_")]
#[case("block_count", "blk.")]
fn sizes_are_those_of_the_tensors(#[case] key: &str, #[case] tensor: &str) {
    for name in files() {
        let edited = Edited::read(&name).with(key, Some(Put::Int(96)));
        refused(&name, &edited, tensor, &["as the metadata says"]);
    }
}

/// An error of a file with that name, with all parts.
fn refused(name: &str, edited: &Edited, key: &str, parts: &[&str]) {
    let error = match edited.loaded() {
        Ok(()) => panic!("{name} without a right {key} is read"),
        Err(error) => error,
    };
    let codes = [exit::MALFORMED, exit::UNSUPPORTED_MODEL];
    let message = error.to_string();
    assert!(codes.contains(&error.exit_code()), "{name}: {message}");
    for part in ["edited.gguf", key].iter().chain(parts) {
        assert!(
            message.contains(part),
            "{name}: {part:?} is not in: {message}"
        );
    }
    assert!(!message.contains('\n'), "{message}");
}

/// Whatever stands in place of a value, loading ends with a model or an error that names the file.
#[rstest]
#[case(None)]
#[case(Some(Put::Int(0)))]
#[case(Some(Put::Int(1)))]
#[case(Some(Put::Int(u32::MAX)))]
#[case(Some(Put::Float(f32::NAN)))]
#[case(Some(Put::Float(f32::MAX)))]
#[case(Some(Put::Word("")))]
#[case(Some(Put::List(0)))]
#[case(Some(Put::List(3)))]
fn no_value_panics(#[case] value: Option<Put>) {
    for name in files() {
        let keys: Vec<String> = Edited::read(&name)
            .keys
            .into_iter()
            .map(|(key, ..)| key)
            .collect();
        for key in keys {
            let mut edited = Edited::read(&name);
            let at = edited.keys.iter().position(|(of, ..)| *of == key).unwrap();
            match &value {
                None => drop(edited.keys.remove(at)),
                Some(value) => {
                    let (kind, bytes) = value.bytes();
                    edited.keys[at] = (key.clone(), kind, bytes);
                }
            }
            if let Err(error) = edited.loaded() {
                let message = error.to_string();
                assert!(message.contains("edited.gguf"), "{name}: {key}: {message}");
            }
        }
    }
}

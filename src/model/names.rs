//! What the weights of a decoder are called in the model's file, and how they lie in it.

/// A norm's weights.
#[derive(Clone, Debug)]
pub struct Norm {
    /// The name of the weights, `[len]`.
    pub weight: String,
    /// The name of the bias, `[len]`, where the norm has one.
    pub bias: Option<String>,
}

impl Norm {
    /// A norm without a bias.
    pub fn new(weight: String) -> Self {
        Self { weight, bias: None }
    }

    /// A norm with a weight and a bias of the same name.
    pub fn with_bias(name: &str) -> Self {
        Self {
            weight: format!("{name}.weight"),
            bias: Some(format!("{name}.bias")),
        }
    }
}

/// A linear map's weights.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`, as `torch.nn.Linear` keeps it.
    pub weight: String,
    /// `[out]`, where it has one.
    pub bias: Option<String>,
    /// Which outputs of the matrix are meant.
    pub outputs: Outputs,
    /// Whether the matrix is stored `[in, out]`.
    pub transposed: bool,
}

impl Linear {
    /// A map with a matrix of its own, with a bias or without.
    pub fn new(name: &str, bias: bool) -> Self {
        Self {
            weight: format!("{name}.weight"),
            bias: bias.then(|| format!("{name}.bias")),
            outputs: Outputs::All,
            transposed: false,
        }
    }

    /// The same map where it shares its matrix with others.
    pub fn of(self, outputs: Outputs) -> Self {
        Self { outputs, ..self }
    }

    /// The same map where its matrix is stored `[in, out]`.
    pub fn transposed(self) -> Self {
        Self {
            transposed: true,
            ..self
        }
    }
}

/// Which outputs of a stored matrix, and of its bias, are a map's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// All outputs.
    All,
    /// So many outputs, from one on, of several maps that are stored one after another.
    From {
        /// The first.
        first: usize,
        /// The outputs of all maps.
        of: usize,
    },
    /// One part of every head: heads are stored one after another, each with the parts of several maps.
    OfEveryHead {
        /// Which part.
        part: usize,
        /// The number of parts of a head.
        parts: usize,
        /// The number of heads.
        heads: usize,
    },
}

impl Outputs {
    /// How many outputs are stored, of which a map has `out`.
    pub fn stored(self, out: usize) -> usize {
        match self {
            Self::All => out,
            Self::From { of, .. } => of,
            Self::OfEveryHead { parts, .. } => parts * out,
        }
    }
}

/// The names of one layer's weights.
#[derive(Clone, Debug)]
pub struct LayerNames {
    /// The norm of the stream before attention, `[d_model]`.
    pub attn_norm: Option<Norm>,
    /// The map of queries, `d_model` to `heads * d_head`.
    pub query: Linear,
    /// The map of keys, `d_model` to `kv_heads * d_head`.
    pub key: Linear,
    /// The map of values, `d_model` to `kv_heads * d_head`.
    pub value: Linear,
    /// The map of what heads read, `heads * d_head` to `d_model`.
    pub output: Linear,
    /// The norm of queries, where they are normed, `[d_head]` or `[heads * d_head]`.
    pub query_norm: Option<String>,
    /// The norm of keys, where they are normed, `[d_head]` or `[kv_heads * d_head]`.
    pub key_norm: Option<String>,
    /// The norm of what attention adds, `[d_model]`.
    pub attn_post_norm: Option<Norm>,
    /// The norm of the stream before the MLP, `[d_model]`.
    pub mlp_norm: Option<Norm>,
    /// The gate of a gated MLP, `d_model` to `d_mlp`.
    pub gate: Option<Linear>,
    /// The map up, `d_model` to `d_mlp`.
    pub up: Linear,
    /// The map down, `d_mlp` to `d_model`.
    pub down: Linear,
    /// The norm of what the MLP adds, `[d_model]`.
    pub mlp_post_norm: Option<Norm>,
}

impl LayerNames {
    /// All names of the layer.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let linear = [
            Some(&self.query),
            Some(&self.key),
            Some(&self.value),
            Some(&self.output),
            self.gate.as_ref(),
            Some(&self.up),
            Some(&self.down),
        ];
        let norms = [
            &self.attn_norm,
            &self.attn_post_norm,
            &self.mlp_norm,
            &self.mlp_post_norm,
        ];
        let linear =
            (linear.into_iter().flatten()).flat_map(|of| [Some(&of.weight), of.bias.as_ref()]);
        let norms =
            (norms.into_iter().flatten()).flat_map(|of| [Some(&of.weight), of.bias.as_ref()]);
        let some = [self.query_norm.as_ref(), self.key_norm.as_ref()];
        let names = linear.chain(norms).chain(some).flatten();
        names.map(String::as_str)
    }
}

/// The names of a model's weights in its file.
#[derive(Clone, Debug)]
pub struct WeightNames {
    /// Token embedding, `[vocab, d_model]`.
    pub embed: String,
    /// Learned positions, `[context, d_model]`, where there are any.
    pub positions: Option<String>,
    /// The names of each layer.
    pub layers: Vec<LayerNames>,
    /// Norm before the unembedding, `[d_model]`.
    pub final_norm: Norm,
    /// Unembedding, `[vocab, d_model]`; the embedding's name where the two are tied.
    pub unembed: String,
    /// The bias of the unembedding, `[vocab]`, where it has one.
    pub unembed_bias: Option<String>,
    /// The ends of the names of buffers that older files hold beside the weights.
    pub buffers: &'static [&'static str],
}

/// What an unembedding of its own is called.
const UNEMBEDDINGS: [&str; 2] = ["lm_head.weight", "embed_out.weight"];

impl WeightNames {
    /// Whether a tensor in a file is not a weight of the model: a buffer, or the copy of a tied unembedding, which transformers
    /// ignores too.
    pub fn is_no_weight(&self, name: &str) -> bool {
        let tied = self.unembed == self.embed;
        self.buffers.iter().any(|buffer| name.ends_with(buffer))
            || tied && UNEMBEDDINGS.contains(&name)
    }

    /// The names of the weights that logits are made with.
    pub fn of_head(&self) -> impl Iterator<Item = &str> {
        let head = [
            Some(&self.final_norm.weight),
            self.final_norm.bias.as_ref(),
            Some(&self.unembed),
            self.unembed_bias.as_ref(),
        ];
        head.into_iter().flatten().map(String::as_str)
    }
}

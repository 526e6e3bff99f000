//! What an AF1 leaves of a model, and nothing else: the compiled way of running a plan, equal to the masked way of
//! [`super::forward`] up to rounding, and far smaller.
//!
//! A token that waits or computes alone sees itself and position 0, so its trajectory depends on its replaced stream
//! alone: each different one is run once, whatever the number of prompts, as a row of one token. Position 0 is never
//! touched: its keys and values are those of the unmodified model. In the transfer layers the last token looks at a table
//! of keys and values, one entry a row; after them it is a row like the others. Prompts with the same rows are one prompt.
//! Which mask a layer has is decided by the plan, here as there.

use std::rc::Rc;

use ndarray::{Array2, Array3, Array4, ArrayView3, Axis, Ix3, s};

use super::biases::Biases;
use super::forward::Trace;
use super::prefix::{Prefix, positions};
use super::rows::Rows;
use super::scores::{Logits, Seen};
use crate::Result;
use crate::graph::Precision;
use crate::interrupt::interrupted;
use crate::intervene::{Cut, Mask, MaskedBy, Plan, Tail};
use crate::runtime::{Engine, KeysValues, TableRows, Tensor};

/// The largest difference between the two ways, relative to the largest value: they multiply the same numbers in batches of other
/// shapes, in f32. A mask, a position or a prompt mistaken for another moves logits by more than a hundredth.
const SAME: f32 = 3e-5;

/// The largest difference between the two ways in a precision. Where products are 16 bits wide, a rounding of the last f32 digit can
/// turn the last one of 16 bits, in every layer.
pub fn same_up_to(precision: Precision) -> f32 {
    match precision {
        Precision::F32 => SAME,
        Precision::F16 => 5e-3,
        Precision::Bf16 => 4e-2,
    }
}

/// Whether a plan can be run this way: it is an AF1 in which attention is cut before softmax and every token but the last
/// one of a transfer layer sees nothing but itself and position 0.
pub fn compiles(engine: &Engine, plan: &Plan, biases: &Biases) -> bool {
    let alone = |mask: &Mask| {
        let pos = biases.positions();
        (0..pos).all(|q| (1..q).all(|k| !mask.allows(0, q, k, pos)))
    };
    plan.tail.transfer().is_some()
        && plan.masking.0.cut() == Cut::Scores
        && biases.prefix().is_some()
        && engine.takes_keys_values()
        && biases.positions() > 1
        && alone(&Mask::SelfPeek(plan.masking))
}

/// Runs plans that compile, all with the same boundary, from the replaced streams `[batch, pos, d_model]`; calls `done` with
/// the index of each plan and its logits. Returns the first plan whose logits are not finite; with it the run ends.
///
/// # Errors
/// The runtime's reason; an interrupt; what `done` fails with.
pub fn run_plans(
    engine: &mut Engine,
    replaced: ArrayView3<'_, f32>,
    plans: &[&Plan],
    biases: &Biases,
    mut done: impl FnMut(&mut Engine, usize, &Logits<'_>) -> Result<Seen>,
) -> Result<Option<usize>> {
    let rows = Rows::new(replaced)?;
    let mut techniques: Vec<MaskedBy> = plans.iter().map(|plan| plan.masking).collect();
    techniques.dedup();
    techniques.sort_by_key(|by| by.0.name());
    techniques.dedup();
    for by in techniques {
        let chosen: Vec<usize> = (0..plans.len())
            .filter(|&i| plans[i].masking == by)
            .collect();
        let mut run = Compiled {
            engine,
            rows: &rows,
            prefix: biases.prefix().expect("only where there is one"),
            pos: biases.positions(),
            by,
        };
        let broken = run.plans(plans, &chosen, &mut done)?;
        if broken.is_some() {
            return Ok(broken);
        }
    }
    Ok(None)
}

/// The streams of an AF1 that is run this way, as those of [`super::forward::trace`]: those of positions from 1 on while they
/// are looked at, then that of the last one.
///
/// # Errors
/// The runtime's reason; an interrupt.
pub fn trace(
    engine: &mut Engine,
    replaced: ArrayView3<'_, f32>,
    plan: &Plan,
    biases: &Biases,
) -> Result<Trace> {
    let rows = Rows::new(replaced)?;
    let (wait, layers) = (plan.wait, engine.layers());
    let until = plan.transferred();
    let mut run = Compiled {
        engine,
        rows: &rows,
        prefix: biases.prefix().expect("only where there is one"),
        pos: biases.positions(),
        by: plan.masking,
    };
    let last = biases.positions() - 1;
    let bias = run.alone_bias(&rows.positions)?;
    let at = run.positions_of_rows()?;
    let (mut others, mut stream) = (rows.others.clone(), rows.trunk.clone());
    let mut trace = Trace::new();
    for layer in wait..=layers {
        let own = |stream: ArrayView3<'_, f32>| {
            let of: Vec<_> = (rows.which.iter())
                .map(|&which| stream.slice_move(s![which, 0, ..]))
                .collect();
            ndarray::stack(Axis(0), &of).expect("they have one shape")
        };
        if layer < until {
            let others = others.view::<Ix3>()?;
            for t in 1..last {
                let of = rows
                    .which
                    .iter()
                    .map(|&which| others.slice(s![rows.prompts[which][t - 1], 0, ..]));
                let streams = ndarray::stack(Axis(0), &of.collect::<Vec<_>>());
                trace.insert((layer, t), streams.expect("they have one shape"));
            }
        }
        trace.insert((layer, last), own(stream.view()?));
        if layer == layers {
            break;
        }
        let made = match layer < until {
            true => run.others(layer, &mut others, &at, &bias)?,
            false => None,
        };
        stream = Rc::new(run.next(layer, &stream, made.as_ref(), &plan.mask(layer))?);
    }
    Ok(trace)
}

/// So many rows of logits are computed at once, or those of one plan.
const ROWS: usize = 256;

/// Plans of one technique on the rows of a batch.
pub struct Compiled<'a> {
    /// The model.
    pub engine: &'a mut Engine,
    /// What is different in the batch.
    pub rows: &'a Rows,
    /// What all prompts begin with.
    pub prefix: &'a Prefix,
    /// Tokens in a prompt.
    pub pos: usize,
    /// What keeps tokens from looking at each other.
    pub by: MaskedBy,
}

/// What the transfer layers leave.
pub struct Transferred {
    /// The keys and values of the rows that the last tokens look at, by layer, if there are any.
    pub tables: Vec<Option<KeysValues>>,
    /// The streams of the last tokens by boundary, `[prompt, 1, d_model]`, if every layer up to there transfers.
    pub trunk: Vec<Rc<Tensor>>,
    /// The same if none does, as far as that was needed.
    alone: Vec<Rc<Tensor>>,
}

/// What the last tokens of a plan begin to compute alone with.
struct Start {
    /// The first layer in which they do.
    layer: usize,
    /// The index of the plan.
    plan: usize,
    /// The streams of the last tokens, `[row, 1, d_model]`.
    stream: Rc<Tensor>,
}

/// The last tokens of several plans, after the last layer.
struct Pool {
    /// The streams of the last tokens, `[row, 1, d_model]`.
    stream: Rc<Tensor>,
    /// The plans that the rows are of, in the order of the rows.
    members: Vec<Member>,
}

/// A plan whose rows are in a pool.
struct Member {
    /// The index of the plan.
    plan: usize,
    /// How many rows it has.
    rows: usize,
}

/// How many layers behind the boundary of a plan the last of them ends that transfers.
fn transfer_of(plan: &Plan) -> usize {
    plan.transferred() - plan.wait
}

impl Compiled<'_> {
    fn plans(
        &mut self,
        plans: &[&Plan],
        chosen: &[usize],
        done: &mut impl FnMut(&mut Engine, usize, &Logits<'_>) -> Result<Seen>,
    ) -> Result<Option<usize>> {
        let Some(&first) = chosen.first() else {
            return Ok(None);
        };
        let wait = plans[first].wait;
        let most = chosen.iter().map(|&i| transfer_of(plans[i])).max();
        let mut transferred = self.transfer(wait, most.unwrap_or(0))?;
        let mut starts = Vec::new();
        for &i in chosen {
            starts.push(self.start(i, plans[i], &mut transferred)?);
        }
        starts.sort_by_key(|start| start.layer);
        let pool = self.compute_alone(wait, starts)?;
        self.answers(plans, &pool, done)
    }

    /// Where a plan of that index begins to compute alone for good: what is pruned leaves the trunk at its first layer without all heads,
    /// and what transfers later than behind the boundary was alone until then.
    fn start(&mut self, index: usize, plan: &Plan, from: &mut Transferred) -> Result<Start> {
        let wait = plan.wait;
        let until = wait + transfer_of(plan);
        let stream = match &plan.tail {
            Tail::Pruned { without, .. } => {
                let pruned = without.iter().map(|head| head.layer);
                let fork = pruned.filter(|layer| *layer >= wait).min();
                let fork = fork.map_or(until, |layer| layer.min(until));
                let mut stream = from.trunk[fork - wait].clone();
                for layer in fork..until {
                    let (mask, table) = (plan.mask(layer), &from.tables[layer - wait]);
                    stream = Rc::new(self.peek(layer, &stream, table.as_ref(), &mask)?);
                }
                stream
            }
            Tail::Apart { layers } => {
                let first = layers.first().map_or(until, |layer| *layer);
                let mut stream = self.alone_to(first - wait, wait, from)?;
                for layer in first..until {
                    let (mask, table) = (plan.mask(layer), &from.tables[layer - wait]);
                    stream = Rc::new(self.next(layer, &stream, table.as_ref(), &mask)?);
                }
                stream
            }
            // Before any transfer, those of different prompts can still be the same.
            _ if until == wait => self.rows.last.clone(),
            _ => from.trunk[until - wait].clone(),
        };
        Ok(Start {
            layer: until,
            plan: index,
            stream,
        })
    }

    /// Runs the layers from `wait` on with what starts in them, in their order: all that compute alone in a layer do so together.
    fn compute_alone(&mut self, wait: usize, starts: Vec<Start>) -> Result<Pool> {
        let bias = self.alone_bias(&[self.pos - 1])?;
        let mut starts = starts.into_iter().peekable();
        let mut members = Vec::new();
        let mut pool: Option<Rc<Tensor>> = None;
        for layer in wait..=self.engine.layers() {
            while let Some(start) = starts.next_if(|start| start.layer == layer) {
                members.push(Member {
                    plan: start.plan,
                    rows: start.stream.shape()[0],
                });
                pool = Some(match pool {
                    None => start.stream,
                    Some(pool) => Rc::new(self.engine.stack(&pool, &start.stream)?),
                });
            }
            if let Some(stream) = pool.take() {
                pool = Some(match layer < self.engine.layers() {
                    true => {
                        let all = positions(stream.shape()[0], self.pos - 1..self.pos)?;
                        Rc::new(self.alone(layer, &stream, &all, &bias)?.0)
                    }
                    false => stream,
                });
            }
        }
        let stream = pool.expect("a plan ends at the last layer at the latest");
        Ok(Pool { stream, members })
    }

    /// Calls `done` with the logits of each plan in a pool, until they are not finite. Several plans' logits are computed at once, as
    /// many as a large product needs and memory allows.
    fn answers(
        &mut self,
        plans: &[&Plan],
        pool: &Pool,
        done: &mut impl FnMut(&mut Engine, usize, &Logits<'_>) -> Result<Seen>,
    ) -> Result<Option<usize>> {
        let (mut begin, mut rest) = (0, &pool.members[..]);
        while !rest.is_empty() {
            interrupted()?;
            let (now, later) = rest.split_at(at_once(rest));
            let rows: usize = now.iter().map(|member| member.rows).sum();
            let logits = match rows == pool.stream.shape()[0] {
                true => self.engine.logits(&pool.stream)?,
                false => {
                    let part = self.engine.rows(&pool.stream, begin..begin + rows)?;
                    self.engine.logits(&part)?
                }
            };
            begin += rows;
            let mut first = 0;
            for member in now {
                let rows = self.rows.which.iter();
                let rows = rows.map(|&which| first + self.row(plans[member.plan], which));
                let of_prompts = Logits::rows(&logits, rows.collect());
                if done(self.engine, member.plan, &of_prompts)? == Seen::NotFinite {
                    return Ok(Some(member.plan));
                }
                first += member.rows;
            }
            rest = later;
        }
        Ok(None)
    }

    /// Which of a plan's rows is that of one of the different prompts.
    fn row(&self, plan: &Plan, prompt: usize) -> usize {
        match transfer_of(plan) {
            0 => *self.rows.prompts[prompt]
                .last()
                .expect("it has a last token"),
            _ => prompt,
        }
    }

    /// Runs `layers` transfer layers from `wait` on.
    pub fn transfer(&mut self, wait: usize, layers: usize) -> Result<Transferred> {
        let (mut tables, mut trunk) = (Vec::new(), vec![self.rows.trunk.clone()]);
        let bias = self.alone_bias(&self.rows.positions)?;
        let at = self.positions_of_rows()?;
        let mut others = self.rows.others.clone();
        for layer in wait..wait + layers {
            // Behind the last transfer layer nobody looks at them.
            let made = match layer + 1 < wait + layers {
                true => self.others(layer, &mut others, &at, &bias)?,
                false if self.rows.positions.is_empty() => None,
                false => Some(self.engine.keys_values(layer, &others, &at)?),
            };
            let stream = trunk.last().expect("it begins with one").clone();
            let next = self.peek(layer, &stream, made.as_ref(), &Mask::Peek(self.by))?;
            trunk.push(Rc::new(next));
            tables.push(made);
        }
        Ok(Transferred {
            tables,
            alone: vec![trunk[0].clone()],
            trunk,
        })
    }

    /// The streams of the last tokens that were alone in so many layers from `wait` on.
    fn alone_to(
        &mut self,
        layers: usize,
        wait: usize,
        from: &mut Transferred,
    ) -> Result<Rc<Tensor>> {
        while from.alone.len() <= layers {
            let done = from.alone.len() - 1;
            let stream = from.alone[done].clone();
            let next = self.next(wait + done, &stream, None, &Mask::SelfPeek(self.by))?;
            from.alone.push(Rc::new(next));
        }
        Ok(from.alone[layers].clone())
    }

    /// A layer of the last tokens, which look at the rows of their prompts where the mask shows them these.
    fn next(
        &mut self,
        layer: usize,
        stream: &Tensor,
        table: Option<&KeysValues>,
        mask: &Mask,
    ) -> Result<Tensor> {
        if !matches!(mask, Mask::SelfPeek(_)) {
            return self.peek(layer, stream, table, mask);
        }
        let bias = self.alone_bias(&[self.pos - 1])?;
        let at = positions(stream.shape()[0], self.pos - 1..self.pos)?;
        Ok(self.alone(layer, stream, &at, &bias)?.0)
    }

    /// Runs a layer on the rows of tokens that are not the last, if there are any; returns their keys and values.
    fn others(
        &mut self,
        layer: usize,
        others: &mut Rc<Tensor>,
        at: &Tensor,
        bias: &Tensor,
    ) -> Result<Option<KeysValues>> {
        if self.rows.positions.is_empty() {
            return Ok(None);
        }
        let (next, made) = self.alone(layer, others, at, bias)?;
        *others = Rc::new(next);
        Ok(Some(made))
    }

    /// The positions of the rows of tokens that are not the last, `[row, 1]`.
    fn positions_of_rows(&self) -> Result<Tensor> {
        let at = self.rows.positions.iter().map(|&t| t as i64).collect();
        let shape = (self.rows.positions.len(), 1);
        Tensor::from_i64(Array2::from_shape_vec(shape, at).expect("one a row"))
    }

    /// Rows of one token that see themselves and position 0, `[row, 1, d_model]`; the next stream, and their own keys and
    /// values.
    fn alone(
        &mut self,
        layer: usize,
        stream: &Tensor,
        positions: &Tensor,
        bias: &Tensor,
    ) -> Result<(Tensor, KeysValues)> {
        interrupted()?;
        let own = self.engine.keys_values(layer, stream, positions)?;
        let seen = self.engine.after(&self.prefix.sinks[layer], &own)?;
        let next = (self.engine).attend(layer, stream, positions, &seen, bias)?;
        Ok((next, own))
    }

    /// The last token of every different prompt, `[prompt, 1, d_model]`, looks at the rows of its prompt through a mask.
    fn peek(
        &mut self,
        layer: usize,
        stream: &Tensor,
        table: Option<&KeysValues>,
        mask: &Mask,
    ) -> Result<Tensor> {
        interrupted()?;
        let last = self.pos - 1;
        let positions = positions(stream.shape()[0], last..self.pos)?;
        let bias = mask.bias(self.engine.heads(), self.pos);
        let bias = Tensor::from_f32(bias.slice(s![.., .., last.., ..]).to_owned())?;
        let own = self.engine.keys_values(layer, stream, &positions)?;
        let sink = &self.prefix.sinks[layer];
        let seen = match (table, &self.rows.index) {
            (Some(table), Some(index)) => {
                let rows = TableRows { table, index };
                self.engine.looked_up(sink, &rows, &own)?
            }
            _ => self.engine.after(sink, &own)?,
        };
        (self.engine).attend(layer, stream, &positions, &seen, &bias)
    }

    /// The mask of rows that are alone: position 0, then themselves, `[row, head, 1, 2]`; one row where all are the same.
    fn alone_bias(&self, positions: &[usize]) -> Result<Tensor> {
        let whole = Mask::SelfPeek(self.by).bias(self.engine.heads(), self.pos);
        let heads = whole.len_of(Axis(1));
        let of = |t: usize| {
            let pair = whole.slice(s![0, .., t, ..]);
            Array3::from_shape_fn((heads, 1, 2), |(head, _, i)| pair[[head, [0, t][i]]])
        };
        let rows: Vec<Array3<f32>> = positions.iter().map(|&t| of(t)).collect();
        let rows = match rows.windows(2).all(|pair| pair[0] == pair[1]) {
            true => &rows[..rows.len().min(1)],
            false => &rows[..],
        };
        let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
        let bias = match views.is_empty() {
            true => Array4::zeros((0, 1, 1, 2)),
            false => ndarray::stack(Axis(0), &views).expect("they have one shape"),
        };
        Tensor::from_f32(bias)
    }
}

/// How many plans' logits, of the first of some, are computed at once.
fn at_once(members: &[Member]) -> usize {
    let (mut rows, mut count) = (0, 0);
    for member in members {
        if count > 0 && rows + member.rows > ROWS {
            break;
        }
        rows += member.rows;
        count += 1;
    }
    count
}

//! What preflight demands of a graph that another program wrote, and the contract's check cannot see: that layers read what their masks
//! let them read and nothing else, and logits the last position. Of the graphs that this program writes the tests show it.

use ndarray::{Array3, Array4, ArrayView3, Axis, Ix2, Ix3, s};

use super::sample::Sample;
use crate::Result;
use crate::graph::{attn_out, resid};
use crate::interrupt::interrupted;
use crate::intervene::{Mask, MaskedBy};
use crate::measure::apart;
use crate::runtime::{Attention, Engine, Tensor};

/// Checks a graph on some prompts.
///
/// # Errors
/// The check `blocked` or `last position`; the runtime's reason; an interrupt.
pub(super) fn check(engine: &mut Engine, sample: &Sample) -> Result<()> {
    embeds(engine, sample)?;
    for layer in 0..engine.layers() {
        interrupted()?;
        keeps_masks(engine, sample, layer)?;
    }
    let end = sample.captured[&engine.layers()].slice(s![.., -1.., ..]);
    let of_last = engine.logits(&Tensor::from_f32(end.to_owned())?)?;
    let of_last = of_last.view::<Ix2>()?;
    sample.same(of_last, sample.logits.view()).map_err(|apart| {
        let reason = format!(
            "logits differ by {apart} of the largest when the last position is all that there is: they are read at others, too"
        );
        sample.fails("last position", reason)
    })
}

/// Checks that what stands for a token depends on that token alone.
fn embeds(engine: &mut Engine, sample: &Sample) -> Result<()> {
    for parity in [0, 1] {
        let other = moved(sample.ids.view().insert_axis(Axis(2)), parity);
        let other = engine.embed(other.index_axis_move(Axis(2), 0), 0)?;
        let other = other.view::<Ix3>()?.to_owned();
        let found = changed(
            &sample.captured[&0],
            &other,
            stays(parity),
            sample.tolerance,
        );
        if let Some((t, apart)) = found {
            let reason = format!(
                "{} at position {t} differs by {apart} of its largest value with other tokens at other positions: it is no embedding",
                resid(0)
            );
            return Err(sample.fails("blocked", reason));
        }
    }
    Ok(())
}

/// Checks that a layer reads what its mask lets it read, query by query, and nothing else.
fn keeps_masks(engine: &mut Engine, sample: &Sample, layer: usize) -> Result<()> {
    let (stream, tolerance) = (&sample.captured[&layer], sample.tolerance);
    let mut run = |stream: Array3<f32>, mask: &Mask| -> Result<Array3<f32>> {
        let next = engine.layer(layer, &Tensor::from_f32(stream)?, sample.biases.of(mask))?;
        Ok(next.view::<Ix3>()?.to_owned())
    };
    let alone = Mask::SelfPeek(MaskedBy::ABP);
    let own = run(stream.clone(), &alone)?;
    for parity in [0, 1] {
        let other = run(moved(stream.view(), parity), &alone)?;
        if let Some((t, apart)) = changed(&own, &other, stays(parity), tolerance) {
            let reason = format!(
                "{} at position {t} differs by {apart} of its largest value with other streams at other positions, though it sees \
                 itself and position 0 only: the mask of layer {layer} does not reach all of its attention, or something else mixes \
                 positions",
                resid(layer + 1)
            );
            return Err(sample.fails("blocked", reason));
        }
    }
    let last = sample.ids.ncols() - 1;
    let knocked_out = run(stream.clone(), &Mask::Knockout)?;
    let next = &sample.captured[&(layer + 1)];
    if let Some((t, apart)) = changed(next, &knocked_out, |t| t != last, tolerance) {
        let reason = format!(
            "{} at position {t} differs by {apart} of its largest value when it is the last token that sees less: the mask of layer \
             {layer} is not applied query by query",
            resid(layer + 1)
        );
        return Err(sample.fails("blocked", reason));
    }
    Ok(())
}

/// Checks that what is called `attn_out` is what each head reads through the weights that are called `attn_pattern`.
///
/// # Errors
/// The check `attention`; the runtime's reason; an interrupt.
pub(super) fn check_heads(engine: &mut Engine, sample: &Sample) -> Result<()> {
    for layer in 0..engine.layers() {
        interrupted()?;
        let blind = layer % engine.heads();
        let mut run = |closed: bool| -> Result<Array4<f32>> {
            let stream = Tensor::from_f32(sample.captured[&layer].clone())?;
            let mut read = Array4::zeros((0, 0, 0, 0));
            let causal = sample.biases.of(&Mask::Causal);
            engine.layer_changed(layer, &stream, causal, |attention| match attention {
                Attention::Weights(weights) if closed => {
                    let mut weights = weights.to_owned();
                    weights.index_axis_mut(Axis(1), blind).fill(0.0);
                    Ok(Some(weights))
                }
                Attention::Weights(_) => Ok(None),
                Attention::Outputs(outputs) => {
                    read = outputs.to_owned();
                    Ok(None)
                }
            })?;
            Ok(read)
        };
        let (mut expected, found) = (run(false)?, run(true)?);
        expected.index_axis_mut(Axis(1), blind).fill(0.0);
        sample.same(found.view(), expected.view()).map_err(|apart| {
            let reason = format!(
                "with all weights of head {blind} at 0, {} differs by {apart} of its largest value from what it is with 0 there in its \
                 place: it is not what each head reads, [batch, head, pos, d_head]",
                attn_out(layer)
            );
            sample.fails("attention", reason)
        })?;
    }
    Ok(())
}

/// The same with other content at the positions of a parity, position 0 excepted: all have that of the last of them, so that it is
/// not only in another order, or that of the next prompt if there is no other. `x` is `[batch, pos, d]`.
fn moved<T: Copy>(x: ArrayView3<'_, T>, parity: usize) -> Array3<T> {
    let (batch, pos, _) = x.dim();
    let positions: Vec<usize> = (1..pos).filter(|t| t % 2 == parity).collect();
    let mut moved = x.to_owned();
    for &t in &positions {
        let from = positions[positions.len() - 1];
        for row in 0..batch {
            let of = if positions.len() > 1 {
                row
            } else {
                (row + 1) % batch
            };
            moved
                .slice_mut(s![row, t, ..])
                .assign(&x.slice(s![of, from, ..]));
        }
    }
    moved
}

/// The positions that [`moved`] leaves as they are.
fn stays(parity: usize) -> impl Fn(usize) -> bool {
    move |t| t == 0 || t % 2 != parity
}

/// The first of some positions that differs by more than the tolerance, of the largest value there, and by how much.
fn changed(
    own: &Array3<f32>,
    other: &Array3<f32>,
    among: impl Fn(usize) -> bool,
    tolerance: f32,
) -> Option<(usize, f32)> {
    let positions = (0..own.len_of(Axis(1))).filter(|&t| among(t));
    let mut apart = positions.map(|t| {
        let at = s![.., t, ..];
        (t, apart(other.slice(at), own.slice(at)))
    });
    apart.find(|(_, apart)| *apart > tolerance)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// Positions of a parity have the content of the last of them; a single one has that of the next prompt. Position 0 stays.
    #[test]
    fn content_moves_to_positions_of_a_parity() {
        let x = array![
            [[0], [1], [2], [3], [4]],
            [[10], [11], [12], [13], [14]],
            [[20], [21], [22], [23], [24]]
        ];
        let of = |x: ArrayView3<'_, i32>, parity| {
            let moved = moved(x, parity);
            moved
                .outer_iter()
                .map(|row| row.iter().copied().collect())
                .collect::<Vec<Vec<i32>>>()
        };
        assert_eq!(
            of(x.view(), 1),
            [[0, 3, 2, 3, 4], [10, 13, 12, 13, 14], [20, 23, 22, 23, 24]]
        );
        assert_eq!(
            of(x.view(), 0),
            [[0, 1, 4, 3, 4], [10, 11, 14, 13, 14], [20, 21, 24, 23, 24]]
        );
        let three = x.slice(s![.., ..3, ..]);
        assert_eq!(of(three, 1), [[0, 11, 2], [10, 21, 12], [20, 1, 22]]);
        for parity in [0, 1] {
            let same = |t: usize| {
                of(x.view(), parity)
                    .iter()
                    .zip(x.outer_iter())
                    .all(|(row, x)| row[t] == x[[t, 0]])
            };
            // The last of a parity has its own content.
            let due: Vec<usize> = (0..5).filter(|&t| same(t)).filter(|&t| t < 3).collect();
            assert_eq!(
                (0..3).filter(|&t| stays(parity)(t)).collect::<Vec<usize>>(),
                due
            );
        }
    }

    #[test]
    fn the_first_position_that_differs_by_more_than_the_tolerance() {
        let own: Array3<f32> = array![[[4.0], [4.0], [4.0]]];
        let other = array![[[4.0], [5.0], [6.0]]];
        let first = |tolerance| changed(&own, &other, |_| true, tolerance);
        assert_eq!(first(0.0), Some((1, 0.25)));
        assert_eq!(first(0.25), Some((2, 0.5)));
        assert_eq!(first(0.5), None);
        assert_eq!(changed(&own, &other, |t| t != 1, 0.0), Some((2, 0.5)));
    }
}

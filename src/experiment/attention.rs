//! Where the last token's attention rests, head by head, in the unmodified model.

use super::{Emit, Experiment, Shape, Todo, Unit, Workbench};
use crate::Result;
use crate::intervene::{Ablation, Head, Plan};
use crate::measure::attention;
use crate::record::{CellName, Kind, attended};

/// The last token's attention, a cell a head.
pub struct Attention;

impl Experiment for Attention {
    fn kind(&self) -> Kind {
        Kind::ATTENTION
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        vec![Box::new(Self)]
    }
}

impl Unit for Attention {
    fn words(&self) -> String {
        "attention".to_owned()
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        Vec::new()
    }

    fn cells(&self, shape: Shape) -> Vec<CellName> {
        let heads = Head::all(0..shape.layers, shape.heads);
        heads
            .map(|head| CellName::new([head.layer, head.head], head.to_string()))
            .collect()
    }

    fn plans(&self, _: Shape) -> Vec<Plan> {
        vec![Plan::waiting(0)]
    }

    fn cuts_attention(&self) -> bool {
        true
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        let (heads, evaluated) = attention(bench.engine, bench.set, &bench.request)?;
        let rows = attended(&heads, bench.set, &evaluated, bench.run);
        let named = rows.into_iter().zip(&todo.cells);
        let lines = named.map(|(row, cell)| bench.head_line(row, cell));
        emit.whole(lines.collect(), todo)
    }
}

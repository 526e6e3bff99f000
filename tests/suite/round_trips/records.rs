//! Lines of every kind.

use af1::intervene::Head;
use af1::intervene::{Estimator, MaskedBy, Plan, masking};
use af1::measure::{Change, Draw, Part, Swap};
use af1::prompt::{Carry, KeyedBy};
use af1::record::{
    Answer, Answers, CellName, Checked, Chosen, Class, Conclusion, ContextCounts, Counts, Ended,
    Failure, Gated, HeadAttention, Hint, Judgement, Kind, Measurement, OverDraws, Paired, Patched,
    PatchedPosition, Place, Planted, Provenance, PruningOrder, Reading, Recovered, Row, Said,
    Scores, Stands, Stratum, Subject, Test, Under, Wrong,
};
use af1::stats::{Criterion, Design, Mean, Proportion};

use super::dice::Dice;

impl Dice {
    pub fn place(&mut self) -> Place {
        let order: Vec<usize> = self.several(|dice| dice.below(9));
        Place {
            sweep: self.name(),
            kind: Kind::from(self.name().as_str()),
            template: self.below(9),
            shape: self.maybe(Self::shape),
            step: self.step(),
            cell: CellName::new(order, self.name()),
            cells: self.maybe(|dice| dice.below(99)),
            templates: self.maybe(|dice| dice.below(99)),
        }
    }

    pub fn provenance(&mut self) -> Provenance {
        Provenance {
            crate_version: self.name(),
            model_sha256: self.name(),
            chat_template_sha256: self.maybe(Self::name),
            device: self.text(),
            tf32: self.coin(),
            mapped_weights: self.coin(),
            providers: self
                .several(|dice| (dice.name(), dice.below(99)))
                .into_iter()
                .collect(),
            seed: self.integer() as u64,
            operands: [self.integer(), self.integer()],
            limit: self.maybe(|dice| dice.below(99)),
            right_answers: self.maybe(|dice| dice.below(99)),
            key: self.one_of(&KeyedBy::ALL),
            bos: self.maybe(Self::text),
            bos_id: self.maybe(|dice| dice.below(1 << 31) as u32),
            bos_rule: self.maybe(Self::text),
            list_sha256: self.maybe(Self::name),
            ..Provenance::default()
        }
    }

    pub fn plan(&mut self) -> Plan {
        let (wait, transfer) = (self.below(8), self.below(4));
        match self.below(5) {
            0 => Plan::waiting(wait),
            1 => Plan::af1(wait, transfer).with(MaskedBy(self.one_of(masking::ALL))),
            2 => Plan::pruned(
                wait,
                transfer,
                self.several(Self::head).into_iter().collect(),
            ),
            3 => Plan::transferring(
                wait,
                self.layers()
                    .into_iter()
                    .map(|layer| wait + layer)
                    .collect(),
            ),
            _ => Plan::knockout(wait, transfer),
        }
    }

    /// Marks of prompts, and the counts that follow from them.
    pub fn answers(&mut self) -> (Answers, Counts) {
        let prompts = self.below(10);
        let (base, right): (Vec<bool>, Vec<bool>) =
            (0..prompts).map(|_| (self.coin(), self.coin())).unzip();
        let ones = |bits: &[bool]| bits.iter().filter(|bit| **bit).count();
        let both = base.iter().zip(&right).filter(|(a, b)| **a && **b).count();
        let counts = Counts {
            prompts,
            excluded: self.below(99),
            undefined: self.below(9),
            degenerate: self.below(9),
            mixed: self.maybe(|dice| dice.below(9)),
            base_correct: ones(&base),
            correct: ones(&right),
            correct_given_base: both,
            constant_correct: self.below(prompts + 1),
            constant_answer: self.maybe(Self::integer),
            empty_correct: self.maybe(|dice| dice.below(prompts + 1)),
            all_prompts: prompts + 9,
            all_base_correct: self.below(prompts + 10),
        };
        let answers = Answers {
            prompts_sha256: self.name(),
            empty: self.maybe(|dice| (0..prompts).map(|_| dice.coin()).collect()),
            operands: self.maybe(|dice| {
                (0..prompts)
                    .map(|_| vec![dice.integer(), dice.integer()])
                    .collect()
            }),
            base,
            right,
            each: Vec::new(),
        };
        (answers, counts)
    }

    pub fn scores(&mut self, counts: &Counts) -> Scores {
        let mut share = |successes: usize, trials: usize| Proportion {
            successes,
            trials,
            value: (trials > 0).then(|| self.share()),
            low: self.share(),
            high: self.share(),
        };
        let base_accuracy = share(counts.base_correct, counts.prompts);
        let accuracy = share(counts.correct, counts.prompts);
        let faithfulness = share(counts.correct_given_base, counts.base_correct);
        // An end that is not known is infinite.
        let mean = |dice: &mut Self| Mean {
            value: dice.float(),
            low: dice.maybe(Self::float).unwrap_or(f64::NEG_INFINITY),
            high: dice.maybe(Self::float).unwrap_or(f64::INFINITY),
        };
        Scores {
            base_accuracy,
            accuracy,
            faithfulness,
            design: self.maybe(|dice| Design {
                effective: dice.share() * counts.prompts as f64,
                units: dice.share() * counts.prompts as f64,
            }),
            normalised_faithfulness: self.maybe(Self::float),
            logit_difference: self.maybe(mean),
            base_logit_difference: self.maybe(Self::float),
            kl_divergence: self.maybe(mean),
            median_rank: self.maybe(|dice| dice.below(1 << 20) as u32),
        }
    }

    pub fn stratum(&mut self) -> Stratum {
        let class = match self.below(3) {
            0 => Class::Carry(self.one_of(&Carry::ALL)),
            1 => Class::Digit(self.one_of(&['0', '9', '-'])),
            _ => Class::Word {
                index: self.integer(),
                word: self.text(),
            },
        };
        let base_correct = self.below(5);
        Stratum {
            class,
            prompts: 9,
            base_correct,
            correct: self.below(5),
            correct_given_base: self.below(base_correct + 1),
        }
    }

    pub fn paired(&mut self) -> Paired {
        Paired {
            ablation: self.name(),
            masking: self.maybe(Self::name),
            only_here: self.below(9),
            only_there: self.below(9),
            p: self.share(),
            accuracy_difference: self.float(),
            accuracy_difference_low: self.maybe(Self::float),
            logit_difference_high: self.maybe(Self::float),
            ..Paired::default()
        }
    }

    pub fn subject(&mut self) -> Subject {
        Subject {
            model: self.name(),
            layers: self.below(100),
            heads: self.below(9),
            style: self.name(),
            operation: "A+B".to_owned(),
            ablation: self.name(),
            plan: self.plan(),
            pruning: self.maybe(|dice| {
                dice.one_of(&[
                    PruningOrder::Greedy,
                    PruningOrder::RandomOrder,
                    PruningOrder::RandomSet,
                ])
            }),
            estimator: self.one_of(&[Estimator::PlugIn, Estimator::LeaveOneOut, Estimator::Split]),
            part: self.one_of(&[Part::All, Part::Development, Part::HeldOut]),
            draw: self.maybe(|dice| Draw {
                contexts: dice.below(9),
                seed: dice.integer() as u64,
            }),
        }
    }

    pub fn test(&mut self) -> Test {
        Test {
            inference: self.inference(),
            claim: self.share(),
            level: self.share(),
            guess: self.coin(),
            p_base_above_constant: self.share(),
            p_above_empty: self.maybe(Self::share),
            p_pass: self.maybe(Self::share),
            p_fail: self.maybe(Self::share),
            verdict: self.maybe(Self::verdict),
        }
    }

    pub fn measurement(&mut self, experiment: Kind) -> Measurement {
        let (answers, counts) = self.answers();
        let criteria = [
            Criterion::PointEstimate,
            Criterion::LowerBound,
            Criterion::StandardError,
        ];
        Measurement {
            place: self.place(),
            experiment,
            subject: self.subject(),
            scores: self.scores(&counts),
            counts,
            test: self.test(),
            answers,
            words: self.several(Self::text),
            strata: self.several(Self::stratum),
            contexts: ContextCounts {
                keys: self.below(99),
                sampled: self.coin(),
                fewest_of_operands: self.maybe(|dice| dice.below(9)),
                mutual_information: self.maybe(Self::float),
                largest_relative_error: self.float(),
                ..ContextCounts::default()
            },
            wrong: Wrong {
                said: self.several(|dice| Said {
                    token_id: dice.below(99) as u32,
                    text: dice.text(),
                    count: dice.below(9),
                }),
                hint: self.maybe(|dice| dice.one_of(&[Hint::AddSpace, Hint::DropSpace])),
            },
            choice: self.maybe(|dice| Chosen {
                by: dice.one_of(&criteria),
                holds: dice.coin(),
            }),
            paired: self.maybe(Self::paired),
            over_draws: self.maybe(|dice| OverDraws {
                draws: dice.below(9),
                faithfulness: dice.share(),
                low: dice.share(),
                high: dice.share(),
                least: dice.maybe(Self::share),
                verdict: dice.maybe(Self::verdict),
            }),
            batch_halved_to: self.maybe(|dice| dice.below(9)),
            provenance: self.provenance(),
        }
    }

    pub fn attention(&mut self) -> HeadAttention {
        HeadAttention {
            place: self.place(),
            experiment: self.kind(),
            model: self.name(),
            style: self.name(),
            operation: "A+B".to_owned(),
            inference: self.inference(),
            layers: 8,
            head: Head {
                layer: self.below(9),
                head: self.below(9),
            },
            prompts: self.below(99),
            weights: self
                .several(|dice| (dice.text(), dice.weight()))
                .into_iter()
                .collect(),
            provenance: self.provenance(),
        }
    }

    pub fn patched(&mut self) -> Patched {
        let pairs = self.below(9);
        let position = |dice: &mut Self| {
            let found = PatchedPosition {
                token: dice.text(),
                moved: dice.shared(pairs),
                stayed: dice.shared(pairs),
            };
            (dice.below(9), found)
        };
        let operand = Change::Operand(self.below(26));
        Patched {
            place: self.place(),
            experiment: self.kind(),
            model: self.name(),
            style: self.name(),
            operation: "A-B".to_owned(),
            inference: self.inference(),
            layers: 8,
            change: self.one_of(&[operand, Change::All, Change::Operator]),
            other: self.maybe(Self::name),
            swap: self.one_of(&[Swap::Once, Swap::Layer, Swap::Cumulative]),
            boundary: self.below(9),
            pairs,
            positions: self.several(position).into_iter().collect(),
            provenance: self.provenance(),
        }
    }

    pub fn reading(&mut self) -> Reading {
        let stands = |dice: &mut Self| {
            let found = Stands {
                first: dice.shared(9),
                probability: dice.weight(),
                rank: dice.weight(),
                median_rank: dice.maybe(|dice| dice.below(99) as u32),
            };
            (dice.text(), found)
        };
        Reading {
            place: self.place(),
            experiment: self.kind(),
            model: self.name(),
            style: self.name(),
            operation: "A*B".to_owned(),
            inference: self.inference(),
            layers: 8,
            under: self.maybe(|dice| Under {
                wait: dice.below(9),
                transfer: dice.below(9),
                ablation: dice.name(),
            }),
            boundary: self.below(9),
            prompts: self.below(99),
            lens: self
                .several(|dice| (dice.text(), dice.several(stands).into_iter().collect()))
                .into_iter()
                .collect(),
            provenance: self.provenance(),
        }
    }

    pub fn failure(&mut self) -> Failure {
        Failure {
            place: self.place(),
            experiment: self.kind(),
            model: self.name(),
            style: self.name(),
            operation: self.name(),
            ablation: self.maybe(Self::name),
            error: self.text(),
            exit_code: self.below(256) as u8,
        }
    }

    pub fn gated(&mut self) -> Gated {
        let condition = |dice: &mut Self| Judgement {
            asked: dice.text(),
            outcome: dice.outcome(),
            reason: dice.text(),
        };
        Gated {
            model: self.name(),
            answer: Answer {
                claim: self.name(),
                sweep: self.name(),
                level: self.share(),
                inference: self.inference(),
                outcome: self.outcome(),
                conditions: self.several(condition),
            },
            provenance: self.provenance(),
        }
    }

    pub fn checked(&mut self) -> Checked {
        Checked {
            model: self.name(),
            style: self.name(),
            operation: "A+B".to_owned(),
            shape: self.shape(),
            step: self.step(),
            key: self.one_of(&KeyedBy::ALL),
            bos: self.maybe(Self::text),
            bos_rule: self.text(),
            planted: self.maybe(|dice| Planted {
                base_correct: dice.below(9),
                waits: dice.below(9),
                af1: dice.maybe(|dice| [dice.below(9), dice.below(9)]),
                knockouts: dice.several(|dice| dice.below(9)),
                heads: dice.several(Self::head),
                faithful: dice.share(),
            }),
            found: Recovered {
                prompts: self.below(9),
                base_correct: self.below(9),
                waits: self.maybe(|dice| dice.below(9)),
                af1: self.maybe(|dice| [dice.below(9), dice.below(9)]),
                knockouts: self.several(|dice| dice.below(9)),
                heads: self.several(Self::head),
            },
            claim: [self.below(9), self.below(9)],
            due: self.outcome(),
            verdict: self.outcome(),
            kept_planted: self.maybe(|dice| dice.below(9)),
            kept: self.below(9),
            differences: self.several(Self::text),
        }
    }

    /// A line of every kind.
    pub fn rows(&mut self) -> Vec<Row> {
        let (af1, pooled) = (self.kind(), self.one_of(&[Kind::POOLED, Kind::WHOLE]));
        vec![
            Row::Measured(Box::new(self.measurement(af1))),
            Row::Pooled(Box::new(self.measurement(pooled))),
            Row::Attention(Box::new(self.attention())),
            Row::Patched(Box::new(self.patched())),
            Row::Reading(Box::new(self.reading())),
            Row::Failed(Box::new(self.failure())),
            Row::Gate(Box::new(self.gated())),
            Row::Selfcheck(Box::new(self.checked())),
            Row::Conclusion(Box::new(Conclusion {
                sweep: self.name(),
                model: self.name(),
                conclusion: self.text(),
            })),
            Row::Ended(Box::new(Ended {
                sweep: self.name(),
                cells: self.below(99),
                shards: self.below(9),
                shard: self.below(9),
            })),
        ]
    }
}

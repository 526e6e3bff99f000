//! What a reader is told of the numbers.

use maud::{Markup, html as markup};

use super::answers::badge;
use crate::record::Outcome;

/// How the words and numbers of a page are read.
pub fn guide() -> Markup {
    markup! {
        details.guide open id="guide" {
            summary { "How to read this" }
            p {
                "AF1(W, K): in the layers below W tokens wait (what they carry is replaced by what does not depend on the other \
                 tokens), in the K layers from W on the last token may look at all others, above that only at itself and at \
                 position 0. Faithfulness is the share of the model's right answers that stay right; accuracy the share of all \
                 prompts that are answered rightly. A number reads "
                code { "41/49 .84 [.71, .91]" }
                ": 41 of 49, which is .84, with its 95% interval."
            }
            dl {
                dt { (badge(Outcome::Pass)) }
                dd { "The interval begins at the claim or above it, the model can do the task, and transfer matters." }
                dt { (badge(Outcome::Fail)) }
                dd { "The interval ends below the claim: the subgraph is not sufficient." }
                dt { (badge(Outcome::Inconclusive)) }
                dd {
                    "These prompts cannot tell: the model cannot do the task, the subgraph does as well without transfer, or \
                     there are too few prompts. It says nothing for the claim and nothing against it."
                }
            }
            p {
                "Point at a mark of a picture, or go to it with the tab key and the arrows, and its number stands below. Where right answers \
                 are lost, a click or Enter shows some of the prompts. Tables are sorted by their heads."
            }
            p { "Verdicts are not corrected for the number of cells in a table; where a table has several, they stand beside it after \
                 Holm's correction." }
        }
    }
}

/// How intervals and tests are computed.
pub fn methods() -> Markup {
    markup! {
        section id="methods" {
            h2 { "Methods" }
            ul {
                li { "About these prompts (the default) every prompt is a draw for itself: shares have Wilson 95% intervals." }
                li { "About other operands prompts that share the value of an operand succeed or fail together: shares have exact 95% \
                      intervals at the effective number of prompts, by multi-way cluster variances, and means t intervals by the \
                      same variances." }
                li { "A subgraph against the one without transfer, and the model against the best constant answer: exact \
                      one-sided McNemar tests." }
                li { "Alternatives against their reference on the same prompts: exact two-sided McNemar tests; p after Holm's \
                      correction over the alternatives of a template." }
                li { "Means over these prompts (logit differences, divergences, accuracy differences, attention): 95% intervals of a \
                      bootstrap that resamples all prompts with the same value of one operand, 1000 resamples, seed 42; the \
                      widest over the operands." }
                li { "Verdicts over drawn contexts: from 5 draws on; the interval over draws and prompts (pigeonhole bootstrap), the \
                      rule for one table of means, and a lower bound over contexts by the largest spread of the draws must \
                      all reach the claim." }
                li { "Means that replace residual streams: see the estimator above; under leave-one-out the evaluated prompt is \
                      taken out of its mean." }
            }
        }
    }
}

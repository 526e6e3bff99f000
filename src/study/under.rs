//! Under what each template of a study is measured.

use super::Study;
use crate::prompt::{Frame, PromptSet, Role, Rule};
use crate::record::Provenance;

impl Study {
    /// Under what a template is measured: what stands before its prompts is the chat template's or the tokenizer's.
    pub fn provenance_of(&self, set: &PromptSet) -> Provenance {
        let own = self.provenance.clone();
        if set.template.frame != Frame::Chat {
            return Provenance {
                chat_template_sha256: None,
                ..own
            };
        }
        let written = set.roles.first() == Some(&Role::Bos);
        Provenance {
            bos: own.bos.filter(|_| written),
            bos_id: own.bos_id.filter(|_| written),
            bos_rule: Some(Rule::ChatTemplate.to_string()),
            ..own
        }
    }

    /// Under what the first of the templates is measured, of which there are prompts.
    pub fn provenance_of_first(&self) -> Provenance {
        let first = self.sets.iter().find_map(|(_, set)| set.as_ref().ok());
        first.map_or_else(|| self.provenance.clone(), |set| self.provenance_of(set))
    }
}

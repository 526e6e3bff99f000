//! Chats: styles that are asked in the model's own chat template. What transformers makes of the same messages is in
//! `fixtures/reference/chat.json`, made by the script beside it.

use std::path::Path;

use af1::error::exit;
use af1::model::{BosChoice, Model};
use af1::prompt::{
    Chat, ContextsFrom, Frame, Front, KeyedBy, Numbers, PromptSet, Role, Selection, Stated, Step,
    Styles, Template, Tokenizer,
};
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use super::bad_input::refused;
use super::fixtures::{QWEN, SMOLLM2, cache, copied, ints, json};
use super::program::{Words, af1, json_lines, stdout};

/// A template for sums, as a style with `chat = true` has it.
fn wanted(text: &str, keys: &str) -> Template {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("styles.toml");
    let style = format!(
        "[[style]]\nid = 's'\nchat = true\n{keys}\n[style.templates]\n'A+B' = {}\n",
        Value::from(text)
    );
    std::fs::write(&file, style).unwrap();
    Styles::read(&file)
        .unwrap()
        .select(&[], &[])
        .unwrap()
        .remove(0)
}

/// A folder with these files.
fn folder_of(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The prompts of transformers are those of here: text and tokens.
fn same_prompts(chat: &Chat, tokenizer: &Tokenizer, prompts: &Value) -> usize {
    let prompts = prompts.as_array().unwrap();
    for prompt in prompts {
        let text = prompt["template"].as_str().unwrap();
        let framed = chat.frame(&wanted(text, "")).unwrap();
        assert_eq!(framed.frame, Frame::Chat);
        let rendered = framed.render(&ints(&prompt["operands"]));
        assert_eq!(rendered.text, prompt["text"].as_str().unwrap());
        let found = tokenizer.encode(&rendered.text).unwrap();
        let found: Vec<i64> = found.iter().map(|token| i64::from(token.id)).collect();
        assert_eq!(found, ints(&prompt["ids"]), "{:?}", rendered.text);
        for (index, place) in rendered.places {
            let number = ints(&prompt["operands"])[index].to_string();
            assert_eq!(rendered.text[place], number);
        }
    }
    prompts.len()
}

#[rstest]
#[case("qwen-2.5", false)]
#[case("smollm2", false)]
#[case("llama-3", true)]
#[case("llama-3.2", true)]
#[case("gemma", true)]
fn chats_have_the_tokens_of_transformers(#[case] shape: &str, #[case] writes_bos: bool) {
    let shape = &json("reference/chat.json")["shapes"][shape];
    let texts = ["tokenizer", "tokenizer_config"].map(|file| shape[file].to_string());
    let mut files = vec![
        ("tokenizer.json", texts[0].as_str()),
        ("tokenizer_config.json", &texts[1]),
    ];
    files.extend((shape["chat_template.jinja"].as_str()).map(|text| ("chat_template.jinja", text)));
    let folder = folder_of(&files);
    let tokenizer = Tokenizer::read(&folder.path().join("tokenizer.json")).unwrap();
    let chat = Chat::of_folder(folder.path());
    assert_eq!(same_prompts(&chat, &tokenizer, &shape["prompts"]), 16);

    // As prompts: nothing is doubled in front, and the operands stand where the roles say.
    let front = Front::of_tokenizer(&tokenizer, &Stated::read(folder.path()).unwrap()).unwrap();
    let bos = front.bos.map(|bos| bos.id);
    assert_eq!(bos.is_some(), writes_bos);
    let framed = chat.frame(&wanted("Calculate: {A} + {B} = ", "")).unwrap();
    let selection = Selection {
        operands: 0..=15,
        results: 0..=99,
        contexts: 100,
        contexts_from: ContextsFrom::All,
        seed: 42,
        listed: None,
    };
    for (shape_of_numbers, operands) in [("1+1=1", [3, 5]), ("1+1=1", [0, 9]), ("2+1=2", [12, 7])] {
        let numbers = Numbers {
            shape: shape_of_numbers.parse().unwrap(),
            step: Step::At(0),
            keyed_by: KeyedBy::Span,
        };
        let set = PromptSet::of_numbers(&framed, &tokenizer, bos, &selection, &numbers).unwrap();
        let prompt = set
            .prompts
            .iter()
            .find(|of| of.operands == operands)
            .unwrap();
        let expected = shape["prompts"].as_array().unwrap().iter().find(|of| {
            of["template"] == "Calculate: {A} + {B} = " && ints(&of["operands"]) == operands
        });
        let ids: Vec<i64> = prompt.ids.iter().map(|id| i64::from(*id)).collect();
        assert_eq!(ids, ints(&expected.unwrap()["ids"]));
        let first = if writes_bos { Role::Bos } else { Role::Text };
        assert_eq!(set.roles[0], first);
        assert_eq!(
            set.roles.iter().filter(|role| **role == Role::Bos).count(),
            usize::from(writes_bos)
        );
        assert_eq!(set.roles.last(), Some(&Role::Last));
        for (index, operand) in operands.iter().enumerate() {
            let own = (0..ids.len()).filter(|&t| set.roles[t] == Role::Operand(index));
            let own: Vec<usize> = own.collect();
            let read: String = own
                .iter()
                .map(|&t| tokenizer.decode(prompt.ids[t]))
                .collect();
            assert_eq!(read.trim(), operand.to_string());
            // The key of a number's last token is all of the number.
            let same = |other: &&af1::prompt::Prompt| other.operands[index] == *operand;
            let last = *own.last().unwrap();
            let others = set
                .prompts
                .iter()
                .filter(|other| other.keys[last] == prompt.keys[last]);
            assert_eq!(others.count(), set.prompts.iter().filter(same).count());
        }
    }
}

/// The two real models, whose chat templates are in their GGUF files.
#[rstest]
#[case("qwen", QWEN)]
#[case("smollm2", SMOLLM2)]
fn chats_of_real_models_have_the_tokens_of_transformers(#[case] file: &str, #[case] name: &str) {
    let model = Model::load(name, &BosChoice::Default, &cache()).unwrap();
    let prompts = &json("reference/chat.json")["files"][file];
    assert_eq!(same_prompts(&model.chat, &model.tokenizer, prompts), 12);
}

/// What begins the answer stands behind the assistant's header; the text is no template.
#[test]
fn an_answer_may_be_begun() {
    let folder = folder_of(&[(
        "chat_template.jinja",
        "<u>{{ messages[0].content }}</u>\n<a>\n\n",
    )]);
    let chat = Chat::of_folder(folder.path());
    let text = |keys: &str| {
        let framed = chat.frame(&wanted("{B} and {A}", keys)).unwrap();
        framed.render(&[1, 22]).text
    };
    assert_eq!(text(""), "<u>22 and 1</u>\n<a>\n");
    assert_eq!(
        text("prefill = 'It is {A} '"),
        "<u>22 and 1</u>\n<a>\nIt is {A} "
    );
}

/// Parts of the language that chat templates use, as Python's Jinja takes them.
#[rstest]
#[case("{% generation %}{{ messages[0].content }}{% endgeneration %}.", None)]
#[case("{{ messages[-1]['content'].strip() }}.", Some("1+2."))]
#[case(
    "{% set ns = namespace(x='') %}{% for m in messages[::-1] %}{% set ns.x = ns.x + m.content %}{% endfor %}{{ ns.x }}.",
    Some("1+2.")
)]
#[case(
    "  {% if true %}\n{{ messages[0].content }}.\n  {% endif %}\n",
    Some("1+2.\n")
)]
#[case(
    "{{ strftime_now('%Y-%m-%d') }} {{ messages[0].content }}.",
    Some("2024-07-26 1+2.")
)]
#[case(
    "{{ messages | tojson }}.",
    Some("[{\"role\": \"user\", \"content\": \"1+2\"}].")
)]
#[case(
    "{% if 'tool_calls' not in messages[0] and tools is none and x is not defined %}{{ messages[0].content.split('|')[0] }}.{% endif %}",
    Some("1+2.")
)]
#[case(
    "{% macro of(m) %}{{ m.role | upper ~ m.get('content') }}{% endmacro %}{% for m in messages %}{% if not loop.first %}{% break %}{% endif %}{{ of(m) }}{{ ['a', 'b'][1:] | join }}{% endfor %}",
    Some("USER1+2b")
)]
#[case(
    "{{ none }}{{ true }}{{ messages[0].content }}{{ eos_token }}.",
    Some("NoneTrue1+2<eos>.")
)]
fn what_templates_are_written_in(#[case] template: &str, #[case] expected: Option<&str>) {
    let folder = folder_of(&[
        ("chat_template.jinja", template),
        (
            "tokenizer_config.json",
            r#"{"eos_token": {"content": "<eos>"}, "chat_template": "other"}"#,
        ),
    ]);
    let framed = Chat::of_folder(folder.path()).frame(&wanted("{A}+{B}", ""));
    match expected {
        Some(expected) => assert_eq!(framed.unwrap().render(&[1, 2]).text, expected),
        None => assert!(framed.is_err()),
    }
}

/// Each gets one short line that names the style and the file, and says what to do.
#[rstest]
#[case("{% for", &["cannot be used in line 1: syntax error", "correct it"])]
#[case("{{ fetch('x') }}", &["cannot be used in line 1: unknown function", "fetch"])]
#[case("\n\n{{ messages | fetch }}", &["in line 3", "filter", "fetch"])]
#[case("{% include 'x' %}", &["cannot be used in line 1"])]
#[case("{{ messages[0].contents.strip() }}", &["cannot be used in line 1", "undefined"])]
#[case("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", &["does not come to an end within 1000000 steps"])]
#[case("{{ 'x' * 99999999 }}", &["does not come to an end"])]
#[case("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", &["cannot be used in line 1", "recursion"])]
#[case("{{ raise_exception('no\u{1b}[31m\u{7} \"here\"\n') }}", &[r#"refuses the prompt: "no\u{1b}[31m\u{7} "here"\n""#, "take a style without chat = true"])]
#[case("{{ raise_exception('x' * 99999) }}", &["refuses the prompt", "xxx..."])]
#[case("hello", &["leaves operand A out"])]
#[case("{{ messages[0].content }}", &["writes nothing behind an operand"])]
#[case("{{ messages[0].content | replace('45', 'XLV') }}.", &["other words around other numbers"])]
#[case("{{ messages[0].content }}{{ 'x' * 300000 }}", &["writes 300007 bytes", "262144 at most"])]
#[case("{{ strftime_now('%\u{1b}') }}{{ messages[0].content }}.", &["part of a date", r"%\\u{1b}"])]
fn templates_that_cannot_be_used(#[case] template: &str, #[case] parts: &[&str]) {
    let folder = folder_of(&[("chat_template.jinja", template)]);
    refuses(folder.path(), parts);
}

/// A folder whose chat template is refused in one line that has all of `parts`.
fn refuses(folder: &Path, parts: &[&str]) {
    let error = Chat::of_folder(folder)
        .frame(&wanted("{A}+{B}", ""))
        .unwrap_err();
    let message = error.to_string();
    assert_eq!(error.exit_code(), exit::STYLE);
    let named = [
        "style \"s\" says chat = true: ",
        &folder.display().to_string(),
    ];
    for part in named.iter().chain(parts) {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    assert!(
        !message.contains(char::is_control) && message.len() < 1000,
        "{message:?}"
    );
}

#[test]
fn files_without_a_chat_template() {
    let config = |text: &str| folder_of(&[("tokenizer_config.json", text)]);
    let none = [
        "the model has no chat template",
        "chat_template.jinja",
        "give the instruction-tuned model",
    ];
    refuses(folder_of(&[]).path(), &none);
    refuses(config("{}").path(), &none);
    refuses(config(r#"{"chat_template": null}"#).path(), &none);
    let kind = ["tokenizer_config.json is neither a text nor a list"];
    refuses(config(r#"{"chat_template": 5}"#).path(), &kind);
    refuses(
        config(r#"{"chat_template": [{"name": "rag", "template": "x"}, 7]}"#).path(),
        &kind,
    );
    let several = config(
        r#"{"chat_template": [{"name": "default", "template": "{{ messages[0].content }}."}]}"#,
    );
    assert!(
        Chat::of_folder(several.path())
            .frame(&wanted("{A}+{B}", ""))
            .is_ok()
    );

    let folder = folder_of(&[("chat_template.jinja", &"x".repeat(300_000))]);
    refuses(
        folder.path(),
        &["it has more than 262144 bytes; expected 262144 at most"],
    );
    std::fs::write(folder.path().join("chat_template.jinja"), b"\xff\xfe").unwrap();
    refuses(folder.path(), &["cannot be read", "UTF-8"]);
    let long = format!(r#"{{"chat_template": "{}"}}"#, "x".repeat(300_000));
    refuses(
        config(&long).path(),
        &["has 300000 bytes; expected 262144 at most"],
    );
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    refuses(
        folder_of(&[("chat_template.jinja", &deep)]).path(),
        &["syntax error"],
    );
}

/// A template that wants a chat template is no prompt before it has one.
#[test]
fn a_template_is_asked_with_its_frame() {
    let model = Model::load("planted-af1", &BosChoice::Default, &cache()).unwrap();
    let selection = Selection {
        operands: 0..=9,
        results: 0..=9,
        contexts: 100,
        contexts_from: ContextsFrom::All,
        seed: 42,
        listed: None,
    };
    let built = PromptSet::build(&wanted("{A}+{B}", ""), &model.tokenizer, None, &selection);
    let message = built.unwrap_err().to_string();
    assert!(message.contains("Chat::frame"), "{message}");
}

/// A planted model in a folder of its own, with a chat template that writes a sum as the style `symbolic` does.
fn planted(template: &str) -> TempDir {
    let model = Model::load("planted-af1", &BosChoice::Default, &cache()).unwrap();
    let folder = copied(model.folder());
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    let file = folder.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    // Matched in a text before it is split, as in the files of real models.
    tokenizer["added_tokens"] = serde_json::json!([{
        "id": tokenizer["model"]["vocab"]["<bos>"], "content": "<bos>", "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true,
    }]);
    std::fs::write(file, tokenizer.to_string()).unwrap();
    folder
}

const STYLES: &str = "[[style]]\nid = 'plain'\n[style.templates]\n'A+B' = '{A}+{B}='\n\
                      [[style]]\nid = 'chat'\nchat = true\n[style.templates]\n'A+B' = '{A}+{B}'\n";

/// The same prompts as a chat and as they are have the same numbers, and the records say which is which.
#[test]
fn records_say_that_a_chat_template_was_used() {
    let model = planted("{{ bos_token }}{{ messages[0]['content'] }}=");
    let styles = model.path().join("styles.toml");
    std::fs::write(&styles, STYLES).unwrap();
    let run = |options: &str| {
        let mut command =
            af1("run --operands 0..=9 --results 0..=18 --wait 3 --transfer 2 --ablation cama");
        command.arg("--model").arg(model.path());
        command.arg("--styles").arg(&styles).words(options);
        command
    };
    let lines = json_lines(run(""));
    let cell = |style: &str| {
        let is = |line: &&Value| {
            line["style"] == style
                && line["counts"].is_null()
                && line["wait"] == 3
                && line["transfer"] == 2
        };
        lines
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("{style}: {lines:?}"))
    };
    let (plain, chat) = (cell("plain"), cell("chat"));
    for field in [
        "prompts",
        "correct",
        "base_correct",
        "correct_given_base",
        "logit_difference",
    ] {
        assert_eq!(plain[field], chat[field], "{field}");
    }
    assert_eq!(chat["base_correct"], chat["prompts"]);
    let sha = |text: &str| af1::file::sha256_bytes(text.as_bytes()).to_string();
    let template = std::fs::read_to_string(model.path().join("chat_template.jinja")).unwrap();
    assert_eq!(chat["provenance"]["chat_template_sha256"], sha(&template));
    assert_eq!(chat["provenance"]["bos"], "<bos>");
    assert_eq!(chat["provenance"]["bos_rule"], "the chat template");
    assert_eq!(plain["provenance"].get("chat_template_sha256"), None);
    assert_ne!(plain["provenance"]["bos_rule"], "the chat template");

    let text = stdout(run(""));
    assert!(
        text.contains(" or <bos> (the chat template) before every prompt"),
        "{text}"
    );
    // Cells that were measured under another template are not taken up.
    let record = model.path().join("record.jsonl");
    let sweeps = |template: &str| {
        std::fs::write(model.path().join("chat_template.jinja"), template).unwrap();
        let mut command = run("--style chat");
        let lines = json_lines(command.arg("--record").arg(&record));
        lines[0]["sweep"].clone()
    };
    let first = sweeps(&template);
    assert_eq!(first, sweeps(&template));
    assert_ne!(first, sweeps(&format!("{template}{{# another #}}")));
}

/// `inspect` shows what the template writes and its tokens; a template that cannot be used is a row, and a run says why and stops.
#[test]
fn what_is_said_of_chats() {
    let model = planted("{{ bos_token }}{{ messages[0]['content'] }}=");
    let styles = model.path().join("styles.toml");
    std::fs::write(&styles, STYLES).unwrap();
    let with = |words: &str| {
        let mut command = af1(words);
        command.arg("--model").arg(model.path());
        command
            .arg("--styles")
            .arg(&styles)
            .words("--operands 1..=9 --results 0..=18");
        command
    };
    let text = stdout(with("inspect"));
    for part in [
        "2 of 2 templates can be asked",
        "chat_template.jinja (SHA-256 ",
        "\"<bos>5+5=\"",
        "of 5 tokens: ",
        "(A), ",
        "(B), ",
        "(last)",
        "(bos)",
    ] {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    let found = json_lines(with("inspect")).remove(0);
    let templates = found["templates"].as_array().unwrap();
    assert_eq!(templates[0].get("chat"), None);
    let tokens = templates[1]["chat"]["tokens"].as_array().unwrap();
    let roles: Vec<&str> = tokens
        .iter()
        .map(|token| token["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["bos", "A", "text", "B", "last"]);

    let reason = ["style \"chat\" says chat = true", "leave out --bos"];
    refused(with("run --bos none"), exit::STYLE, &reason);
    std::fs::write(
        model.path().join("chat_template.jinja"),
        "{{ raise_exception('not today') }}",
    )
    .unwrap();
    let reason = [
        "style \"chat\" says chat = true",
        "refuses the prompt: \"not today\"",
    ];
    refused(with("run"), exit::STYLE, &reason);
    let text = stdout(with("inspect"));
    assert!(
        text.contains("1 of 2 templates can be asked") && text.contains("\"not today\""),
        "{text}"
    );
    std::fs::remove_file(model.path().join("chat_template.jinja")).unwrap();
    refused(
        with("waiting --style chat"),
        exit::STYLE,
        &["the model has no chat template", "chat_template.jinja"],
    );
    stdout(with("run --style plain --wait 3 --transfer 2"));
}

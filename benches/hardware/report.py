"""The Markdown file about a device."""


def markdown(found):
    """All that was found, as tables."""
    card = found["card"]
    of_card = ", ".join(f"{name.replace('_', ' ').replace('.', ' ')} {value}" for name, value in card.items()) or "no card that could be asked"
    runtime = next((row["runtime"] for row in found["tasks"] if row["device"] == found["device"] and "runtime" in row), "")
    lines = [
        f"# {found['device']} on {card.get('name', 'this machine')}",
        "",
        *(["These are few prompts of a planted model: the times mean nothing.", ""] if found["quick"] else []),
        f"`benches/hardware/run {found['device']}{' --quick' if found['quick'] else ''}`, model `{found['model']}`, ONNX Runtime {runtime}.",
        "",
        f"- Card: {of_card}. Processor: {found['processor']}.",
        f"- Self-check: {found['selfcheck']}. The devices' suite: {found['suite']}.",
        f"- Batch: {found['batch']} prompts (unmodified model, prompts a second: {rates(found['batches'])}).",
        f"- Fastest product of matrices, GFLOP/s: {rates(found['peak_gflop_per_second'])}.",
        "",
        "*Answers that differ* is the part of all answers that is another one than the processor's in f32; a task of which more differ than",
        f"allowed ({', '.join(f'{name} {most:.1%}' for name, most in found['differ_at_most'].items())}) has no row. The *share of the peak* is that of the operations that were run, at the fastest product in that precision.",
        "",
        "| task | on | precision | prompts a second | GFLOP | share of the peak | answers that differ | card's memory, MB | power, W |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    order = {task: at for at, task in enumerate(dict.fromkeys(row["task"] for row in found["tasks"]))}
    for row in sorted(found["tasks"], key=lambda row: order[row["task"]]):
        lines.append("| " + " | ".join(cells(row)) + " |")
    if found["refused"]:
        lines += ["", "No number is given for:", ""]
        lines += [f"- {one['task']} on {one['device']} in {one['precision']}: {one['why']}" for one in found["refused"]]
    providers = next((row["providers"] for row in found["tasks"] if row["device"] == found["device"] and "providers" in row), {})
    lines += ["", "Nodes by provider: " + (", ".join(f"{name} {count}" for name, count in providers.items()) or "not known") + "."]
    return "\n".join(lines) + "\n"


def rates(of):
    return ", ".join(f"{name}: {rate:.0f}" for name, rate in of.items())


def cells(row):
    number = lambda value, form: "" if value is None else format(value, form)
    return [
        f"`{row['task']}`",
        row["device"],
        row["precision"],
        number(row["prompts_per_second"], ".1f"),
        number(row.get("gflop"), ".0f"),
        number(row.get("share_of_peak"), ".0%"),
        number(row.get("differ"), ".2%"),
        number(row.get("card_memory_mb"), ".0f"),
        number(row.get("card_power_w"), ".0f"),
    ]

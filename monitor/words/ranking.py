"""Words for the list of lines most likely to call: what it rests on. code -> (German, English)."""

RANKING: dict[str, tuple[str, str]] = {
    "ranking.few_calls": (
        "Nach der Punktzahl: {calls} Anrufe sind erfasst, gelernt wird ab {needed}.",
        "By the score: {calls} calls are recorded, learning begins at {needed}.",
    ),
    "ranking.few_days": (
        "Nach der Punktzahl: {calls} Anrufe sind erfasst, aber noch nicht über genug Tage, um zu lernen und zu prüfen.",
        "By the score: {calls} calls are recorded, but not yet over enough days to learn and to test.",
    ),
    "ranking.few_examples": (
        "Nach der Punktzahl: von den {calls} Anrufen kamen zu wenige von auffälligen Anschlüssen, um daraus zu lernen.",
        "By the score: of the {calls} calls too few came from lines that were noticed before to learn from.",
    ),
    "ranking.not_better": (
        "Nach der Punktzahl: an {days} späteren Tagen geprüft, sagte das Gelernte Anrufe nicht besser voraus (von den ersten {top} riefen {model_ratio} an, nach der Punktzahl {score_ratio}).",
        "By the score: tested on {days} later days, what was learned foretold calls no better (of the first {top} {model_ratio} called, by the score {score_ratio}).",
    ),
    "ranking.better": (
        "Gelernt aus {calls} Anrufen, an {days} späteren Tagen geprüft: von den ersten {top} riefen {model_ratio} binnen einer Woche an (nach der Punktzahl {score_ratio}, von allen gelisteten {base_ratio}).",
        "Learned from {calls} calls, tested on {days} later days: of the first {top} {model_ratio} called within a week (by the score {score_ratio}, of all listed {base_ratio}).",
    ),
}

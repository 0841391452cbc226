//! The Porter stemmer with NLTK's extensions, the default mode of `nltk.stem.PorterStemmer`.
//!
//! Porter (1980), *An algorithm for suffix stripping*; the differences to the paper are NLTK's and are marked.

/// The stem of a word in lower case.
pub(crate) fn stem(word: &str) -> String {
    if let Some(irregular) = irregular(word) {
        return irregular.into();
    }
    let mut stem: Vec<char> = word.chars().collect();
    if stem.len() > 2 {
        for step in [step1a, step1b, step1c, step2, step3, step4, step5a, step5b] {
            step(&mut stem);
        }
    }
    stem.into_iter().collect()
}

/// NLTK's table of irregular forms.
fn irregular(word: &str) -> Option<&'static str> {
    Some(match word {
        "sky" | "skies" => "sky",
        "dying" => "die",
        "lying" => "lie",
        "tying" => "tie",
        "news" => "news",
        "innings" | "inning" => "inning",
        "outings" | "outing" => "outing",
        "cannings" | "canning" => "canning",
        "howe" => "howe",
        "proceed" => "proceed",
        "exceed" => "exceed",
        "succeed" => "succeed",
        _ => return None,
    })
}

/// Whether each letter is a consonant; a `y` is one unless it follows one.
fn consonants(word: &[char]) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for c in word {
        flags.push(match c {
            'a' | 'e' | 'i' | 'o' | 'u' => false,
            'y' => !flags.last().copied().unwrap_or(false),
            _ => true,
        });
    }
    flags
}

/// Porter's m: how often a consonant follows a vowel.
fn measure(word: &[char]) -> usize {
    consonants(word).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(word: &[char]) -> bool {
    consonants(word).contains(&false)
}

fn ends_with_double_consonant(word: &[char]) -> bool {
    matches!(word, [.., a, b] if a == b) && consonants(word).last() == Some(&true)
}

/// Porter's *o, and NLTK's: a vowel and a consonant that are the whole word.
fn ends_cvc(word: &[char]) -> bool {
    match (consonants(word).as_slice(), word.last()) {
        ([false, true], _) => true,
        ([.., true, false, true], Some(last)) => !matches!(last, 'w' | 'x' | 'y'),
        _ => false,
    }
}

fn ends_with(word: &[char], suffix: &str) -> bool {
    let suffix = suffix.as_bytes();
    word.len() >= suffix.len()
        && word[word.len() - suffix.len()..].iter().zip(suffix).all(|(&c, &s)| c == char::from(s))
}

/// The word without a suffix it has.
fn without<'a>(word: &'a [char], suffix: &str) -> &'a [char] {
    &word[..word.len() - suffix.len()]
}

fn replace(word: &mut Vec<char>, suffix: &str, replacement: &str) {
    word.truncate(word.len() - suffix.len());
    word.extend(replacement.chars());
}

/// The first rule whose suffix the word has decides, even where its condition then fails.
fn apply(word: &mut Vec<char>, rules: &[(&str, &str)], condition: impl Fn(&[char], &str) -> bool) {
    if let Some((suffix, replacement)) = rules.iter().find(|(suffix, _)| ends_with(word, suffix))
        && condition(without(word, suffix), suffix)
    {
        replace(word, suffix, replacement);
    }
}

fn step1a(word: &mut Vec<char>) {
    if ends_with(word, "ies") && word.len() == 4 {
        return replace(word, "ies", "ie"); // NLTK: `dies` as `die`, but `flies` as `fli`
    }
    apply(word, &[("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")], |_, _| true);
}

fn step1b(word: &mut Vec<char>) {
    if ends_with(word, "ied") {
        let replacement = if word.len() == 4 { "ie" } else { "i" };
        return replace(word, "ied", replacement); // NLTK
    }
    if ends_with(word, "eed") {
        if measure(without(word, "eed")) > 0 {
            replace(word, "eed", "ee");
        }
        return;
    }
    let Some(suffix) = ["ed", "ing"].into_iter().find(|s| ends_with(word, s) && has_vowel(without(word, s))) else {
        return;
    };
    replace(word, suffix, "");
    if ends_with(word, "at") || ends_with(word, "bl") || ends_with(word, "iz") {
        word.push('e');
    } else if ends_with_double_consonant(word) {
        if !matches!(word.last(), Some('l' | 's' | 'z')) {
            word.pop();
        }
    } else if measure(word) == 1 && ends_cvc(word) {
        word.push('e');
    }
}

fn step1c(word: &mut Vec<char>) {
    // NLTK: only after a consonant that is not the whole stem.
    apply(word, &[("y", "i")], |stem, _| stem.len() > 1 && consonants(stem).last() == Some(&true));
}

fn step2(word: &mut Vec<char>) {
    // NLTK: `alli` comes first, and what it leaves goes through this step again.
    while ends_with(word, "alli") && measure(without(word, "alli")) > 0 {
        replace(word, "alli", "al");
    }
    const RULES: [(&str, &str); 22] = [
        ("ational", "ate"),
        ("tional", "tion"),
        ("enci", "ence"),
        ("anci", "ance"),
        ("izer", "ize"),
        ("bli", "ble"),
        ("alli", "al"),
        ("entli", "ent"),
        ("eli", "e"),
        ("ousli", "ous"),
        ("ization", "ize"),
        ("ation", "ate"),
        ("ator", "ate"),
        ("alism", "al"),
        ("iveness", "ive"),
        ("fulness", "ful"),
        ("ousness", "ous"),
        ("aliti", "al"),
        ("iviti", "ive"),
        ("biliti", "ble"),
        ("fulli", "ful"),
        ("logi", "log"),
    ];
    let whole = word.clone();
    apply(word, &RULES, |stem, suffix| match suffix {
        "logi" => measure(&whole[..whole.len() - 3]) > 0, // NLTK: the `l` counts with the stem
        _ => measure(stem) > 0,
    });
}

fn step3(word: &mut Vec<char>) {
    const RULES: [(&str, &str); 7] =
        [("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];
    apply(word, &RULES, |stem, _| measure(stem) > 0);
}

fn step4(word: &mut Vec<char>) {
    const SUFFIXES: [&str; 19] = [
        "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate",
        "iti", "ous", "ive", "ize",
    ];
    let rules = SUFFIXES.map(|suffix| (suffix, ""));
    apply(word, &rules, |stem, suffix| {
        measure(stem) > 1 && (suffix != "ion" || matches!(stem.last(), Some('s' | 't')))
    });
}

fn step5a(word: &mut Vec<char>) {
    if ends_with(word, "e") {
        let stem = without(word, "e");
        let m = measure(stem);
        if m > 1 || (m == 1 && !ends_cvc(stem)) {
            word.pop();
        }
    }
}

fn step5b(word: &mut Vec<char>) {
    if ends_with(word, "ll") && measure(without(word, "l")) > 1 {
        word.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn stems_are_nltks() {
        let words = "caresses ponies ties dies flies died feed agreed plastered motoring conflated hopping falling filing \
                     happy enjoy sky relational radically archaeology geology adoption probate controlling calcifications \
                     consolidated effusions pleural ly ing atelectasis";
        let stems = "caress poni tie die fli die feed agre plaster motor conflat hop fall file \
                     happi enjoy sky relat radic archaeolog geolog adopt probat control calcif \
                     consolid effus pleural ly ing atelectasi";
        for (word, expected) in words.split_whitespace().zip(stems.split_whitespace()) {
            assert_eq!(stem(word), expected, "{word}");
        }
    }

    #[test]
    fn any_character_may_stand_in_a_word() {
        assert_eq!(stem("µmed"), "µmed");
        assert_eq!(stem("½ing"), "½ing");
        assert_eq!(stem("ödemies"), "ödemi");
    }
}
